"""A recipe as a config file."""

import os
from pathlib import Path
from typing import Optional

from .networks import Network

# The fragment of each method, and which points it reads. Overhaul and KR read the stages of the
# backbones as well, which have to be named by hand (feature_points/stages_*.py show how).
METHODS = {
    'tat': ('tat', ('feature',)),
    'tat-patch': ('tat', ('feature',)),
    'tat-anchor': ('tat', ('feature',)),
    'tat-whole': ('tat', ('feature',)),
    'kd': ('kd', ('logits',)),
    'at': ('at', ('feature',)),
    'fitnet': ('fitnet', ('feature',)),
    'ickd': ('ickd', ('feature',)),
    'cwd': ('cwd', ('logits',)),
}
# The metric that TeacherCheckHook reads and the best checkpoint is chosen by.
_METRICS = dict(mmseg='mIoU', mmpretrain='accuracy/top1', mmdet='coco/bbox_mAP')


def recipe_text(
    method: str,
    student: Network,
    teacher: Network,
    out: Path,
    teacher_ckpt: Optional[str] = None,
    floor: Optional[float] = None,
    views: Optional[list[dict]] = None,
) -> str:
    """The recipe as a config file.

    Args:
        method: one of :data:`METHODS`.
        student, teacher: with their points chosen.
        out: where it will lie; paths are written relative to it.
        teacher_ckpt: a file or URL.
        floor: the least value of the metric that the teacher must reach on 100 images.
        views: of TaT.
    """
    fragment, kinds = METHODS[method]
    scope = student.cfg.get('default_scope') or 'mmseg'
    metric = _METRICS.get(scope, 'mIoU')
    comment = [f'# {method}: {_title(teacher.name)} teaches {_title(student.name)}.']
    points = []
    for network in (student, teacher):
        lines = [f'    {network.role}_recorders=dict(']
        for kind in kinds:
            point = network.points[kind]
            lines.append(
                f'        {kind}=dict(  # {point.channels} channels, {point.size[0]} x '
                f'{point.size[1]}'
            )
            lines.append(f'            type={point.recorder!r}, source={point.source!r}),')
        points += [*lines, '    ),']
    imports = list((student.cfg.get('custom_imports') or {}).get('imports') or ())
    imports += ['mmrazor_tat'] if 'mmrazor_tat' not in imports else []
    checkpoint = dict(student.cfg.get('default_hooks', {}).get('checkpoint') or {})
    best = '' if checkpoint.get('save_best') else f'    checkpoint=dict(save_best={metric!r}),\n'
    views_line = ''
    if views is not None:
        listed = ''.join(
            '    dict(' + ', '.join(f'{k}={v!r}' for k, v in view.items()) + '),\n'
            for view in views
        )
        views_line = f'_base_.method.distill_losses.loss_tat.views = [\n{listed}]\n'
    return (
        '\n'.join(comment)
        + '\n'
        + f"_base_ = [{_base(student.name, out)!r}, 'mmrazor_tat::_base_/methods/{fragment}.py']\n"
        + f'custom_imports = dict(imports={imports!r}, allow_failed_imports=False)\n\n'
        + '# Where to read the two networks.\n'
        + '_base_.method.update(\n'
        + '\n'.join(points)
        + '\n)\n'
        + views_line
        + '\nmodel = dict(\n'
        + "    type='mmrazor.FrozenTeacherDistill',\n"
        + "    architecture=_base_.pop('model'),\n"
        + f"    teacher=__import__('mmrazor_tat').model_config({_path(teacher.name, out)}),\n"
        + f'    teacher_ckpt={_path(teacher_ckpt, out) if teacher_ckpt else None},\n'
        + "    distiller=_base_.pop('method'))\n"
        + '\n# The teacher is tried before the first iteration, and evaluated beside the student.\n'
        + 'default_hooks = dict(\n'
        + "    teacher_check=dict(type='mmrazor.TeacherCheckHook', num_images=100, "
        + f'floor={floor!r}, metric={metric!r}),\n'
        + "    teacher_evaluation=dict(type='mmrazor.TeacherEvaluationHook'),\n"
        + "    recipe_check=dict(type='mmrazor.RecipeCheckHook'),\n"
        + best
        + ')\n'
    )


def _title(name: str) -> str:
    return Path(name.split('::')[-1]).stem


def _base(name: str, out: Path) -> str:
    return name if '::' in name else os.path.relpath(name, out.parent)


def _path(name: str, out: Path) -> str:
    """A Python expression for a file: relative to the recipe, so that a folder can be moved."""
    if '::' in name or '://' in name:
        return repr(name)
    return repr('{{ fileDirname }}/' + os.path.relpath(os.path.expanduser(name), out.parent))
