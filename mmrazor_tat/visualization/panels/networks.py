"""The networks of a picture, and the validation images that they see."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from mmengine import Config
from mmengine.device import get_device
from mmengine.registry import DATASETS, init_default_scope
from torch import nn
from torch.utils.data import Dataset

from ...utils.configs import is_recipe, model_of, require_segmentation
from ...utils.networks import trained_model

TEACHER, PLAIN, STUDENT = 'teacher', 'plain', 'student'
ROLES = (TEACHER, PLAIN, STUDENT)
NAMES = ('teacher', 'plain student', 'distilled student')


@dataclass(frozen=True)
class Network:
    """A trained network.

    Its role is 'teacher', 'plain' (the student trained without a teacher) or 'student' (the one
    that is judged: the distilled student, or the only network).
    """

    name: str  # stands over its column
    role: str
    step: Callable[[Any], list]  # ``val_step``: a batch to samples with a ``pred_sem_seg``
    num_classes: Optional[int] = None  # of its head; None where that does not say


def load_networks(
    cfg: Config,
    checkpoint: str,
    plain: Optional[str] = None,
    plain_cfg: Optional[Config] = None,
    with_teacher: bool = True,
    names: tuple[str, str, str] = NAMES,
) -> list[Network]:
    """Teacher, plain student and distilled student of a recipe, or the network of a plain config.

    Args:
        cfg: the config; not changed.
        checkpoint: of its training.
        plain, plain_cfg: checkpoint and config of the plain student; None: there is none, and the
            recipe's student.
        with_teacher: the teacher too, from the recipe's ``teacher_ckpt``.
        names: over the columns: of the teacher, the plain and the distilled student.

    Raises:
        ValueError, FileNotFoundError: see :func:`mmrazor_tat.utils.networks.trained_model`; also
            for a plain student where there is nothing to compare it with.
    """
    if plain is None and plain_cfg is not None:
        raise ValueError('--plain-config needs --plain, the checkpoint of the plain student')
    for path in (checkpoint, plain):  # building the networks takes a while: said before
        if path is not None and '://' not in path and not Path(path).is_file():
            raise FileNotFoundError(f'there is no file {path!r}')
    model_of(cfg)  # a config without a model is refused
    if not is_recipe(cfg):
        if plain is not None:
            raise ValueError(
                f'--plain: config {cfg.filename!r} is no distillation recipe, so there is no '
                'distilled student to compare the plain one with'
            )
        return [plain_network(cfg, checkpoint, 'prediction')]
    networks = []
    if with_teacher:
        model = trained_model(cfg, checkpoint, with_teacher=True).to(get_device())
        classes = num_classes_of(model.teacher)
        networks.append(Network(names[0], TEACHER, model.teacher_val_step, classes))
        student = Network(names[2], STUDENT, model.val_step, num_classes_of(model.student))
    else:
        student = plain_network(cfg, checkpoint, names[2])
    if plain is not None:
        networks.append(plain_network(plain_cfg or cfg, plain, names[1], PLAIN))
    return [*networks, student]


def plain_network(cfg: Config, checkpoint: str, name: str, role: str = STUDENT) -> Network:
    """A network alone: of a plain config, or the student of a recipe; see ``trained_model``."""
    cfg = copy.deepcopy(cfg)
    cfg.model = model_of(cfg)
    model = trained_model(cfg, checkpoint).to(get_device())
    return Network(name, role, model.val_step, num_classes_of(model))


def num_classes_of(model: nn.Module) -> Optional[int]:
    """Of its last decode head; None where that does not say."""
    head = getattr(model, 'decode_head', None)
    return getattr(head[-1] if isinstance(head, nn.ModuleList) else head, 'num_classes', None)


def validation_data(cfg: Config) -> Dataset:
    """The data set of ``val_dataloader``, of which one image has been read.

    Raises:
        ValueError, FileNotFoundError: there is none, or it lacks classes, images or labels.
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
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    return next((of['ignore_index'] for of in evaluators if 'ignore_index' in of), 255)
