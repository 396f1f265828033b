"""A network as its training began."""

from typing import Optional

from mmengine import Config
from mmengine.device import get_device
from mmengine.runner import set_random_seed
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch import nn
from torch.utils.data import DataLoader

from ..models.checkpoint_file import read_checkpoint
from .initial_weights import init_quietly
from .model_config import is_recipe
from .trained import trained_model


class NoInitialWeightsError(ValueError):
    """The weights that a training began with cannot be had."""


def untrained_model(cfg: Config, seed: int) -> nn.Module:
    """The model of a config as the Runner starts to train it, in eval mode on the CPU.

    That holds for a training on the kind of device at hand: the same seed gives a GPU and a CPU
    other numbers. The global random numbers are seeded.

    Args:
        cfg: of a plain network or of a distillation recipe, whose teacher is loaded.
        seed: of the run; mmengine keeps it in the checkpoint, see :func:`seed_of`.

    Raises:
        FileNotFoundError, ValueError: the teacher cannot be loaded.
        NoInitialWeightsError: weights that the config names for the student (a file, or ImageNet's
            from the internet) cannot be loaded.
    """
    set_random_seed(seed)
    # The Runner draws on the device that it trains on, and a GPU draws other numbers.
    model = trained_model(cfg, with_teacher=is_recipe(cfg)).to(get_device())
    if 'max_iters' in (cfg.get('train_cfg') or {}):
        # The Runner's loop by iterations wraps the data loader before it calls init_weights; in
        # mmengine 0.10.7 that draws a number, in 0.10.12 it does not.
        _InfiniteDataloaderIterator(DataLoader([0]))
    try:
        init_quietly(model)
        if cfg.get('load_from') and not cfg.get('resume'):
            content = read_checkpoint(cfg.load_from, 'load_from')
            model.load_state_dict(content.get('state_dict', content), strict=False)
    except (OSError, RuntimeError, ValueError) as error:  # what downloads and files raise
        raise NoInitialWeightsError(
            f'the weights that the training began with cannot be had: {error}'
        ) from error
    return model.cpu().eval()


def seed_of(cfg: Config, meta: dict) -> Optional[int]:
    """The seed of the run that made a checkpoint, from its ``meta``, else the config's."""
    seed = meta.get('seed')
    return cfg.get('randomness', {}).get('seed') if seed is None else seed
