"""Settings by dotted key over those of a config, as ``--cfg-options`` has them."""

import inspect
from difflib import get_close_matches

from mmengine import Config
from mmengine.runner import Runner

from .config_settings import set_crop_size, set_data_root, set_pretrained
from .configs import config_file, read_config_file
from .errors import UserError, said

# Keys of a config that mmengine, the OpenMMLab tools or ours read, beside the Runner's arguments.
_KEYS = (
    *('activation_checkpointing', 'compile', 'crop_size', 'custom_imports', 'data_root'),
    *('efficient_conv_bn_eval', 'env_cfg', 'find_unused_parameters', 'model_wrapper_cfg'),
    *('pretrained', 'sync_bn', 'tta_model', 'tta_pipeline'),
)
_EVERYWHERE = dict(crop_size=set_crop_size, data_root=set_data_root, pretrained=set_pretrained)
_PARTS = {'auto_scale_lr': ('enable', 'base_batch_size')}
_ITS_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def read_config(name: str, options: dict) -> Config:
    """A config by path or ``PACKAGE::NAME``, with options as ``--cfg-options`` has them.

    Raises:
        FileNotFoundError, ValueError: it cannot be read, or an option does not fit; in one line.
    """
    cfg = read_config_file(config_file(name))
    apply_options(cfg, options)
    hooks = cfg.get('default_hooks') or {}
    for key in [key for key, hook in hooks.items() if hook is None and key not in _ITS_HOOKS]:
        del hooks[key]  # mmengine does so with its own ones alone
    return cfg


def apply_options(cfg: Config, options: dict) -> None:
    """Override settings of a config, in place, as ``--cfg-options`` does.

    ``crop_size``, ``data_root`` and ``pretrained`` are set wherever they stand. ValueError for a
    key that nothing would read, or a value that does not fit.
    """
    _check_keys(cfg, options)
    try:
        cfg.merge_from_dict(options)
    except Exception as error:  # mmengine's are of many kinds, and name no option
        raise UserError(f'--cfg-options {", ".join(options)}: {said(error)}') from error
    for name, set_everywhere in _EVERYWHERE.items():
        if name in options:
            set_everywhere(cfg, options[name])


def _check_keys(cfg: Config, options: dict) -> None:
    """Raise ValueError for a key at the top that nothing would read; mmengine would add it."""
    known = [*inspect.signature(Runner.__init__).parameters, *_KEYS, *cfg.keys()]
    for option in options:
        first, *rest = option.split('.')
        names = known if first not in _PARTS or not rest else _PARTS[first]
        name = first if names is known else rest[0]
        if name not in names:
            nearest = get_close_matches(name, dict.fromkeys(names), n=3) or _PARTS.get(first)
            raise ValueError(
                f'--cfg-options {option}: nothing reads such a setting'
                + (f'; nearest to {name!r}: {", ".join(nearest)}' if nearest else '')
            )
