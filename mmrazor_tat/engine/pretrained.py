"""The weights that the trained network's backbone starts from as one setting."""

from typing import Optional

from mmengine import Config

from .initial_weights import student_config


def set_pretrained(cfg: Config, weights: Optional[str]) -> None:
    """Set what the backbone of the network that is trained starts from, in place.

    mmseg configs have ``pretrained`` at the network or at its backbone, or an ``init_cfg`` of type
    'Pretrained' at the backbone. The teacher of a recipe is left alone: it loads a checkpoint.

    Args:
        cfg: of a plain network or of a distillation recipe, whose student it is then.
        weights: path, URL or mmengine's name of a checkpoint; None: random weights.

    Raises:
        ValueError: ``weights`` is neither None nor a text, or the config has no network.
    """
    if weights is not None and (not isinstance(weights, str) or not weights):
        raise ValueError(f'pretrained must be None or the text of a checkpoint, got {weights!r}')
    if 'model' not in cfg:
        raise ValueError('pretrained: the config has no model, so there is none to set')
    network = student_config(cfg)
    backbone = network.get('backbone') or {}
    if (backbone.get('init_cfg') or {}).get('type') == 'Pretrained':
        backbone['init_cfg'] = None
    if 'pretrained' in backbone:
        backbone['pretrained'] = None
    # One place only: mmseg refuses weights at both.
    if weights is not None or 'pretrained' in network:
        network['pretrained'] = weights
    cfg['pretrained'] = weights
