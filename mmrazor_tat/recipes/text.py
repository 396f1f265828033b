"""A recipe as a config file."""

import os
from pathlib import Path
from typing import Optional

from ..engine.runner.guarded_runner import GUARDS
from ..utils.metrics import metric_of_evaluator
from .networks import Network, class_count

# The fragment of each method, and which points it reads. Overhaul and KR read the stages of the
# backbones as well, which have to be named by hand (feature_points/stages_*.py show how).
METHODS = {
    'tat': ('tat', ('feature',)),
    'tat-patch': ('tat', ('feature',)),
    'tat-anchor': ('tat', ('feature',)),
    'tat-whole': ('tat', ('feature',)),
    'tat-cwd': ('tat_cwd', ('feature', 'logits')),
    'tat-kd': ('tat_kd', ('feature', 'logits')),
    'kd': ('kd', ('logits',)),
    'at': ('at', ('feature',)),
    'fitnet': ('fitnet', ('feature',)),
    'ickd': ('ickd', ('feature',)),
    'cwd': ('cwd', ('logits',)),
}


def recipe_text(
    method: str,
    student: Network,
    teacher: Network,
    out: Path,
    teacher_ckpt: Optional[str] = None,
    floor: Optional[float] = None,
    views: Optional[list[dict]] = None,
    probe_size: Optional[tuple[int, int]] = None,
    balance: Optional[float] = None,
) -> str:
    """The recipe as a config file; paths are written relative to ``out``. See ``new_recipe``."""
    fragment, kinds = METHODS[method]
    imports = list((student.cfg.get('custom_imports') or {}).get('imports') or ())
    imports += ['mmrazor_tat'] * ('mmrazor_tat' not in imports)
    lines = [
        f'# {method}: {_title(teacher.name)} teaches {_title(student.name)}.',
        '_base_ = [',
        f'    {student.name if "::" in student.name else _from_recipe(student.name, out)!r},',
        f"    'mmrazor_tat::_base_/methods/{fragment}.py',",
        ']',
        f'custom_imports = dict(imports={imports!r}, allow_failed_imports=False)',
        '',
        '# Where to read the two networks.',
        '_base_.method.distiller.update(',
    ]
    for network in (student, teacher):
        lines.append(f'    {network.role}_recorders=dict(')
        for kind in kinds:
            point = network.points[kind]
            size = ' x '.join(map(str, point.size))
            lines.append(f'        {kind}=dict(  # {point.channels} channels, {size}')
            lines.append(f'            type={point.recorder!r}, source={point.source!r}),')
        lines.append('    ),')
    lines.append(')')
    if views is not None:
        texts = [', '.join(f'{k}={v!r}' for k, v in view.items()) for view in views]
        lines.append('_base_.method.distiller.distill_losses.loss_tat.views = [')
        lines += [*(f'    dict({text}),' for text in texts), ']']
        if student.points['feature'].size != teacher.points['feature'].size:
            lines += [
                '# The maps differ in size, which a softmax over the teacher does not take.',
                "_base_.method.distiller.distill_losses.loss_tat.softmax_over = 'student'",
            ]
    if 'data_preprocessor' in student.cfg and 'data_preprocessor' not in student.cfg.model:
        lines.append('_base_.model.data_preprocessor = _base_.data_preprocessor')
    lines += [
        '',
        'model = dict(',
        "    type='mmrazor.FrozenTeacherDistill',",
        "    architecture=_base_.pop('model'),",
        "    teacher=__import__('mmrazor_tat').model_config(",
        f'        {_path(teacher.name, out)}),',
        f'    teacher_ckpt={_path(teacher_ckpt, out) if teacher_ckpt else None},',
    ]
    if probe_size is not None:
        lines.append(f'    probe_size={tuple(probe_size)},')
    lines += ["    **_base_.pop('method'))", '']
    validates = student.cfg.get('val_dataloader') is not None
    if not validates or other_classes(student, teacher):
        why = 'has other classes: it is not evaluated on these data'
        why = why if validates else 'is not evaluated: there is no validation'
        lines += [f'# The teacher {why}.', 'default_hooks = dict(']
    else:
        lines += [
            '# The teacher is tried before the first iteration, and evaluated beside the student.',
            'default_hooks = dict(',
            '    teacher_check=dict(',
            f"        type='mmrazor.TeacherCheckHook', num_images=100, floor={floor!r}),",
            "    teacher_evaluation=dict(type='mmrazor.TeacherEvaluationHook'),",
        ]
    if balance is not None:
        lines.append(f"    balance=dict(type='mmrazor.GradientBalanceHook', target={balance!r}),")
    lines += [f"    {name}=dict(type='mmrazor.{hook}')," for name, hook in GUARDS.items()]
    chosen = (student.cfg.get('default_hooks', {}).get('checkpoint') or {}).get('save_best')
    metric = metric_of_evaluator(student.cfg.get('val_evaluator')) if validates else None
    if not chosen and metric is not None:
        lines.append(f"    checkpoint=dict(save_best={metric!r}, rule='greater'),")
    return '\n'.join([*lines, ')', ''])


def other_classes(student: Network, teacher: Network) -> Optional[tuple[int, int]]:
    """(student's, teacher's) number of classes where they differ."""
    counts = class_count(student.model), class_count(teacher.model)
    return counts if None not in counts and counts[0] != counts[1] else None


def _title(name: str) -> str:
    return Path(name.split('::')[-1]).stem


def _from_recipe(file: str, out: Path) -> str:
    """Relative to the recipe, so that a folder can be moved; absolute where links are on the way,
    which a '..' would not lead back through."""
    file, folder = os.path.abspath(os.path.expanduser(file)), os.path.abspath(out.parent)
    is_plain = os.path.realpath(folder) == folder
    return os.path.relpath(file, folder) if is_plain else file


def _path(name: str, out: Path) -> str:
    """A Python expression for a file."""
    if '::' in name or '://' in name:
        return repr(name)
    file = _from_recipe(name, out)
    return repr(file if os.path.isabs(file) else '{{ fileDirname }}/' + file)
