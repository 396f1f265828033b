"""The validation images of a config, with labels."""

from mmengine import Config
from mmengine.registry import DATASETS, init_default_scope
from torch.utils.data import Dataset

from ..model_config import require_segmentation


def validation_data(cfg: Config) -> Dataset:
    """The data set of ``val_dataloader``, of which one image has been read.

    Raises:
        ValueError: there is none, it has no class names, no image or no labels; the config is of a
            classifier.
        FileNotFoundError: a file of it is missing.
    """
    require_segmentation(cfg, 'panels')
    if not cfg.get('val_dataloader'):
        raise ValueError(f'config {cfg.filename!r} has no val_dataloader: no images to compare on')
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    try:
        dataset = DATASETS.build(cfg.val_dataloader.dataset)
        first = dataset[0]
    except (FileNotFoundError, AssertionError) as error:  # mmseg asserts that files are there
        raise FileNotFoundError(
            f'val_dataloader: {error} (the folder: --cfg-options data_root=PATH)'
        ) from error
    except (ValueError, IndexError) as error:  # mmengine's words for an empty list are obscure
        raise ValueError(
            f'val_dataloader: its data set cannot be built, or has no images: {error}'
        ) from error
    if not dataset.metainfo.get('classes'):
        raise ValueError('val_dataloader: its data set names no classes in its metainfo')
    if 'gt_sem_seg' not in first['data_samples']:
        raise ValueError(
            'val_dataloader: its images have no labels; its pipeline needs LoadAnnotations, its '
            'data set a folder of labels (data_prefix.seg_map_path)'
        )
    return dataset


def ignore_index_of(cfg: Config) -> int:
    """That of the ``IoUMetric`` in ``val_evaluator``, or mmseg's default."""
    evaluators = cfg.get('val_evaluator') or []
    for evaluator in evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]:
        if 'ignore_index' in evaluator:
            return evaluator['ignore_index']
    return 255
