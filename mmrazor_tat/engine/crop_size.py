"""The training crop as one setting."""

from mmengine import Config

from .config_parts import dicts_of


def set_crop_size(cfg: Config, size: tuple[int, int]) -> None:
    """Set the training crop wherever a config holds it, in place.

    mmseg configs hold it in every training pipeline (``RandomCrop``, ``Pad``) and in the data
    preprocessor, which otherwise pads a smaller crop back to its own size in silence.

    Args:
        cfg: an mmseg config, with or without distillation.
        size: (height, width) in pixels.

    Raises:
        ValueError: ``size`` is not two positive integers, or the config has no crop.
    """
    if not (
        isinstance(size, (tuple, list))
        and len(size) == 2
        and all(isinstance(length, int) and length > 0 for length in size)
    ):
        raise ValueError(f'crop_size must be two positive integers (height, width), got {size!r}')
    size = tuple(size)
    crops = 0
    for _, part in dicts_of(cfg.get('train_dataloader', {})):
        if part.get('type') == 'RandomCrop':
            part['crop_size'] = size
            crops += 1
        elif part.get('type') == 'Pad' and 'size' in part:
            part['size'] = size
    if not crops:
        raise ValueError('crop_size: no RandomCrop in train_dataloader, so there is none to set')
    for owner in (cfg, *(part for _, part in dicts_of(cfg.get('model', {})))):
        preprocessor = owner.get('data_preprocessor')
        if preprocessor and 'size' in preprocessor:
            preprocessor['size'] = size
    cfg['crop_size'] = size
