"""The networks that are compared, from configs and checkpoints."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from mmengine import Config
from mmengine.device import get_device
from torch import nn

from ..model_config import is_recipe, model_of
from ..trained import trained_model

TEACHER, PLAIN, STUDENT = 'teacher', 'plain', 'student'
ROLES = (TEACHER, PLAIN, STUDENT)
NAMES = ('teacher', 'plain student', 'distilled student')


@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
        name: stands over its column.
        role: 'teacher', 'plain' (the student trained without a teacher) or 'student' (the one that
            is judged: the distilled student, or the only network).
        step: as a model's ``val_step``: a batch of the data loader to samples with a
            ``pred_sem_seg``.
        num_classes: of its head; None where the head does not say.
    """

    name: str
    role: str
    step: Callable[[Any], list]
    num_classes: Optional[int] = None


def load_networks(
    cfg: Config,
    checkpoint: str,
    plain: Optional[str] = None,
    plain_cfg: Optional[Config] = None,
    with_teacher: bool = True,
    names: tuple[str, str, str] = NAMES,
) -> list[Network]:
    """The networks of a recipe, see :func:`recipe_networks`, or the one of a plain config.

    Raises:
        ValueError: also if a plain student, or a config of one, is given where there is nothing to
            compare it with.
        FileNotFoundError: see :func:`..trained.trained_model`.
    """
    if plain is None and plain_cfg is not None:
        raise ValueError('--plain-config needs --plain, the checkpoint of the plain student')
    for argument, path in (('checkpoint', checkpoint), ('--plain', plain)):
        if path is not None and '://' not in path and not Path(path).is_file():
            # Building the networks takes a while: said before.
            raise FileNotFoundError(f'{argument}: there is no file {path!r}')
    model_of(cfg)  # a config without a model is refused
    if is_recipe(cfg):
        return recipe_networks(cfg, checkpoint, plain, plain_cfg, with_teacher, names)
    if plain is not None:
        raise ValueError(
            f'--plain: config {cfg.filename!r} is no distillation recipe, so there is no distilled '
            'student to compare the plain one with'
        )
    return [plain_network(cfg, checkpoint, 'prediction')]


def plain_network(cfg: Config, checkpoint: str, name: str, role: str = STUDENT) -> Network:
    """A network alone: of a plain config, or the student of a recipe.

    Args:
        cfg: a plain config, or a recipe whose student's network is taken.
        checkpoint: of its own training, or of a distillation, whose student is taken.
        name, role: see :class:`Network`.

    Raises:
        ValueError, FileNotFoundError: see :func:`..trained.trained_model`.
    """
    cfg = copy.deepcopy(cfg)
    cfg.model = model_of(cfg)
    model = trained_model(cfg, checkpoint).to(get_device())
    return Network(name, role, model.val_step, _num_classes(model))


def recipe_networks(
    cfg: Config,
    checkpoint: str,
    plain: Optional[str] = None,
    plain_cfg: Optional[Config] = None,
    with_teacher: bool = True,
    names: tuple[str, str, str] = NAMES,
) -> list[Network]:
    """Teacher, plain student and distilled student of a recipe, in the order of the columns.

    Args:
        cfg: the recipe; not changed.
        checkpoint: of its training.
        plain: checkpoint of the plain student; None: there is none.
        plain_cfg: its config; None: the recipe's student.
        with_teacher: the teacher too, from the recipe's ``teacher_ckpt``.
        names: over the columns: of the teacher, the plain and the distilled student.

    Raises:
        ValueError, FileNotFoundError: see :func:`..trained.trained_model`.
    """
    networks = []
    if with_teacher:
        model = trained_model(cfg, checkpoint, with_teacher=True).to(get_device())
        networks.append(
            Network(names[0], TEACHER, model.teacher_val_step, _num_classes(model.teacher))
        )
        student = Network(names[2], STUDENT, model.val_step, _num_classes(model.student))
    else:
        student = plain_network(cfg, checkpoint, names[2])
    if plain is not None:
        networks.append(plain_network(plain_cfg or cfg, plain, names[1], PLAIN))
    return [*networks, student]


def _num_classes(model: nn.Module) -> Optional[int]:
    head = getattr(model, 'decode_head', None)
    return getattr(head[-1] if isinstance(head, nn.ModuleList) else head, 'num_classes', None)
