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

from ..engine.hooks import GradientBalanceHook
from .features import input_size, training_crop
from .networks import Network, RecipeError, choose_point, read_network
from .text import METHODS, recipe_text
from .views import choose_views


@dataclass
class Recipe:
    """A recipe that was written."""

    file: Path
    size: tuple[int, int]  # (height, width) of the input that it was tried on
    student: Network
    teacher: Network
    views: Optional[list[dict]]  # of TaT; None for other methods
    algorithm: nn.Module  # built from the file


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
    balance: Optional[float] = None,
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
        balance: share of the gradient of the distillation, see ``GradientBalanceHook``; None: the
            weights are the usual ones.

    Raises:
        RecipeError, ValueError, FileNotFoundError: what does not fit, by name.
    """
    if out.suffix != '.py' or not re.fullmatch(r'[^.]+', out.stem):
        raise RecipeError(f'--out must name a .py file without other dots in its name, got {out}')
    if out.exists() and not force:
        raise RecipeError(f'--out {out} exists: choose another name, or add --force')
    kinds = METHODS[method][1]
    for (role, kind), source in (sources or {}).items():
        if source is not None and kind not in kinds:
            raise RecipeError(
                f'--{role}-{kind} {source}: method {method} reads no {kind}, it reads the '
                f'{" and ".join(kinds)} (--{role}-{kinds[0]})'
            )
    if balance is not None:
        GradientBalanceHook(balance)  # which checks it
    if size is not None and not (len(size) == 2 and all(length > 0 for length in size)):
        raise RecipeError(f'--size must be two positive lengths, height and width, got {size}')
    networks = [read_network('student', student, size)]
    crop = training_crop(networks[0].cfg)
    if size is not None and crop is not None and tuple(size) != crop:
        raise RecipeError(
            f"--size {size[0]} x {size[1]} is not the student's training crop, {crop[0]} x "
            f'{crop[1]}, which patches and anchor points have to fit: leave it out, or change the '
            'crop in a config of your own'
        )
    size = tuple(size or input_size(networks[0].cfg))
    networks.append(read_network('teacher', teacher, size))
    for network in networks:
        for kind in kinds:
            source = (sources or {}).get((network.role, kind))
            network.points[kind] = choose_point(network, kind, size, source)
    views = None
    if method.startswith('tat'):
        views = choose_views(method, *(network.points['feature'].size for network in networks))
    # What FrozenTeacherDistill would not find in the student's data preprocessor.
    has_size = (networks[0].cfg.model.get('data_preprocessor') or {}).get('size')
    probe_size = None if has_size else size
    text = recipe_text(method, *networks, out, teacher_ckpt, floor, views, probe_size, balance)
    out.parent.mkdir(parents=True, exist_ok=True)
    trial = out.with_name(f'{out.stem}_being_tried.py')
    trial.write_text(text)
    try:
        cfg = Config.fromfile(trial)
        init_default_scope(cfg.get('default_scope') or 'mmseg')
        algorithm = MODELS.build(cfg.model)  # its probe checks all that can be known
        os.replace(trial, out)
    finally:
        trial.unlink(missing_ok=True)
    return Recipe(out, size, *networks, views, algorithm)
