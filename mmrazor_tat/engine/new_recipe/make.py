"""A distillation recipe for any two networks: chosen, written, built, tried."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from mmengine import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from ..features import input_size
from .errors import RecipeError
from .networks import Network, choose_point, read_network
from .text import METHODS, recipe_text
from .views import choose_views


@dataclass
class Recipe:
    """A recipe that was written.

    Attributes:
        file: the config.
        size: (height, width) of the input that it was tried on.
        student, teacher: with their points.
        views: of TaT; None for other methods.
        algorithm: built from the file.
    """

    file: Path
    size: tuple[int, int]
    student: Network
    teacher: Network
    views: Optional[list[dict]]
    algorithm: nn.Module


def new_recipe(
    teacher: str,
    student: str,
    out: Path,
    method: str = 'tat',
    teacher_ckpt: Optional[str] = None,
    floor: Optional[float] = None,
    sources: Optional[dict[tuple[str, str], str]] = None,
    size: Optional[Sequence[int]] = None,
    force: bool = False,
) -> Recipe:
    """Write a recipe that inherits the student's config, and try it.

    Args:
        teacher, student: configs, paths or ``PACKAGE::NAME``.
        out: the recipe; nothing is left there if it does not work.
        method: one of :data:`METHODS`.
        teacher_ckpt: a file or URL, loaded now.
        floor: see ``TeacherCheckHook``.
        sources: the module to read by ('student' or 'teacher', 'feature' or 'logits'), where it
            is not to be chosen.
        size: (height, width) of the input. None: the student's training crop.
        force: write over an existing file.

    Raises:
        RecipeError, ValueError, FileNotFoundError: what does not fit, by name.
    """
    _check_out(out, force)
    networks = [read_network('student', student, size)]
    size = tuple(size or input_size(networks[0].cfg))
    networks.append(read_network('teacher', teacher, size))
    for network in networks:
        for kind in METHODS[method][1]:
            source = (sources or {}).get((network.role, kind))
            network.points[kind] = choose_point(network, kind, size, source)
    views = None
    if method.startswith('tat'):
        views = choose_views(method, *(network.points['feature'].size for network in networks))
    text = recipe_text(method, *networks, out, teacher_ckpt, floor, views)
    out.parent.mkdir(parents=True, exist_ok=True)
    trial = out.with_name(f'{out.stem}_being_tried.py')
    trial.write_text(text)
    try:
        algorithm = _build(trial, size)
        os.replace(trial, out)
    finally:
        trial.unlink(missing_ok=True)
    return Recipe(out, size, *networks, views, algorithm)


def _build(file: Path, size: tuple[int, int]) -> nn.Module:
    """The algorithm of a recipe; its probe checks all that can be known before training."""
    cfg = Config.fromfile(file)
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    return MODELS.build({**cfg.model, 'probe_size': size})


def _check_out(out: Path, force: bool) -> None:
    """Raise RecipeError where a recipe cannot be written, before anything is computed."""
    if out.suffix != '.py' or not re.fullmatch(r'[^.]+', out.stem):
        raise RecipeError(f'--out must name a .py file without other dots in its name, got {out}')
    if out.exists() and not force:
        raise RecipeError(f'--out {out} exists: choose another name, or add --force')
