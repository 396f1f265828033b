"""Weights for several trainings to start from."""

import logging
from pathlib import Path

from mmengine import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import set_random_seed
from torch import nn

from .files import save_atomically


def student_config(cfg: Config) -> dict:
    """The network that a config trains: of a distillation recipe the student."""
    return cfg.model.get('architecture', cfg.model)


def init_quietly(model: nn.Module) -> None:
    """``model.init_weights()`` without a log of every parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        model.init_weights()
    finally:
        logger.setLevel(level)


def initial_weights(cfg: Config, path: Path, seed: int) -> str:
    """Save freshly drawn weights of the network that a config trains.

    A training starts from them with ``init_cfg=dict(type='Pretrained', checkpoint=...)`` on its
    network (``model``, or ``model.architecture`` of a recipe).

    Args:
        cfg: of a plain network or of a distillation recipe, whose student it is then. ImageNet
            weights that the config names are part of what is saved.
        path: the checkpoint to write; never there in part.
        seed: of the drawing.

    Returns:
        ``path`` as a string.
    """
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    set_random_seed(seed)
    model = MODELS.build(student_config(cfg))
    init_quietly(model)
    save_atomically({'state_dict': model.state_dict()}, path)
    return str(path)
