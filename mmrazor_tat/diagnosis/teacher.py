"""Is the teacher worth listening to, and does it speak of the student's classes?"""

from collections.abc import Iterator

import numpy as np
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ..compat.checkpoints import read_checkpoint
from ..models.teacher.input import Normalization, TeacherInput
from ..utils.errors import one_line
from .scores import NotCheckedError
from .subject import Finding, Subject

_NORMALIZATIONS = {  # mean and std of three channels
    "ImageNet's mean and std": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    'values from -1 to 1': ((127.5,) * 3, (127.5,) * 3),
    'values from 0 to 1': ((0.0,) * 3, (255.0,) * 3),
    'values from 0 to 255': ((0.0,) * 3, (1.0,) * 3),
}


def check_agreement(subject: Subject) -> Iterator[Finding]:
    """Do teacher, student, data set and evaluator mean the same by a label?"""
    cfg, data = subject.cfg, subject.metainfo if subject.val_batches else {}
    path = cfg.model.get('teacher_ckpt')
    content = {}
    if path and '://' not in path:
        content = read_checkpoint(path, cfg.model.get('trust_teacher_ckpt', False))
    meta = content.get('meta') or {}
    meta = meta.get('dataset_meta') or {
        k.lower(): meta[k] for k in ('CLASSES', 'PALETTE') if k in meta
    }
    found = False
    for name in ('classes', 'palette', 'reduce_zero_label'):
        own, of_teacher = data.get(name), meta.get(name)
        if own is None or of_teacher is None or np.array_equal(*map(_plain, (own, of_teacher))):
            continue
        found = True
        what = {
            'classes': "make the data set's classes those of the teacher, in their order, or train "
            'a teacher on this data set',
            'palette': f'compare the classes by hand; else give the data set metainfo.{name}',
            'reduce_zero_label': f'train_dataloader.dataset.reduce_zero_label={of_teacher}, and '
            'the same of val and test',
        }
        yield Finding(
            f'teacher and data set differ in {name}',
            f'data set {one_line(str(own), 80)}; teacher {one_line(str(of_teacher), 80)}',
            'the same in both: else a channel of the logits is another class',
            what[name],
        )
    head = getattr(subject.model.student, 'decode_head', None)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    ids = {} if head is None else {'decode_head.ignore_index': getattr(head, 'ignore_index', 255)}
    evaluators = cfg.get('val_evaluator') or []
    for part in evaluators if isinstance(evaluators, list) else [evaluators]:
        if 'ignore_index' in part:
            ids['val_evaluator.ignore_index'] = part['ignore_index']
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    while dataset.get('dataset') or dataset.get('datasets'):  # a wrapper around others
        dataset = dataset.get('dataset') or dataset['datasets'][0]
    if ids:
        ids['dataset.ignore_index'] = dataset.get('ignore_index', 255)
    if len(set(ids.values())) > 1:
        yield Finding(
            'the losses and the data set ignore different labels',
            ', '.join(f'{key} {value}' for key, value in ids.items()),
            "one value: the pixels that are nobody's are ignored everywhere, and no others",
            f'set all of them to {ids["dataset.ignore_index"]}',
        )
    elif not found and not meta:
        raise NotCheckedError("the data set's meta in the teacher's checkpoint")


def check_classes(subject: Subject) -> Iterator[Finding]:
    """Would the teacher be better if its classes were numbered otherwise?"""
    table = subject.teacher_confusion
    right = table.T / np.maximum(table.sum(0)[:, None] + table.sum(1) - table.T, 1)  # IoU, (P, L)
    present = table.sum(1) > 0
    predicted, label = linear_sum_assignment(-right * present)
    matched = 100 * right[predicted, label][present[label]].sum() / present.sum()
    own = 100 * np.diag(right)[present].mean()
    subject.measured['teacher'] |= {'score with its classes renumbered': matched}
    moved = [
        (p, k) for p, k in zip(predicted, label) if p != k and present[k] and right[p, k] > 0.1
    ]
    if not _is_clearly_better(matched, own) or len(moved) < 2:
        return
    names = subject.classes
    shift = {int(p - k) for p, k in moved}
    pairs = ', '.join(f'{names[k]!r} is called {names[p]!r}' for p, k in moved[:4])
    remedy = 'put the classes of the data set (metainfo) in the order of the teacher'
    if len(shift) == 1 and shift <= {1, -1}:
        remedy = 'reduce_zero_label of the data set (train, val, test) has to be as in the '
        remedy += "teacher's training"
    yield Finding(
        'the teacher numbers the classes otherwise than the labels',
        f'{subject.metric} {own:.1f} as it is, {matched:.1f} with its classes renumbered: {pairs}',
        'its own numbers to be the best',
        remedy,
        {'as it is': own, 'renumbered': matched},
    )


def check_input(subject: Subject) -> Iterator[Finding]:
    """Would the teacher be better if it saw the images otherwise?"""
    table = subject.teacher_confusion
    model, own = subject.model, subject.model.teacher_input
    now = own.target or own.source
    if now is None:
        raise NotCheckedError('a data preprocessor that normalizes images')
    tried: dict[str, nn.Module] = {}
    swapped = now._replace(swaps=not now.swaps)
    if subject.images[0].shape[1] == 3:
        tried['channels reversed'] = _Tried(own.source, swapped)
        for name, (mean, std) in _NORMALIZATIONS.items():
            for order in (now, swapped):
                of = (subject.images[0].new_tensor(x).view(-1, 1, 1) for x in (mean, std))
                other = order._replace(**dict(zip(('mean', 'std'), of)))
                if other.listed() not in (now.listed(), swapped.listed()):
                    text = name + (', channels reversed' if order is swapped else '')
                    tried[text] = _Tried(own.source, other)
    tried['images of half the size'] = _Tried(own.source, now, 0.5)
    tried['images of twice the size'] = _Tried(own.source, now, 2.0)
    scores = {'as configured': subject.score(table)}
    for name, module in tried.items():
        model.teacher_input = module
        try:
            scores[name] = subject.score(subject.confusion(model.teacher_val_step))
        finally:
            model.teacher_input = own
    subject.measured['teacher'] |= {'score by input': scores}
    best = max(scores, key=scores.get)
    knows = scores[best] > 2 * _guess(subject, table)
    if not knows or not _is_clearly_better(scores[best], scores['as configured']):
        return
    key = 'model.teacher.data_preprocessor'
    other = tried[best].target
    if 'size' in best:
        remedy = 'train and validate at the scale of the teacher (Resize and crop of both '
        remedy += 'pipelines), or take a teacher that was trained at this one'
    else:
        remedy = f'--cfg-options {key}.bgr_to_rgb={other.swaps}'
        for name in ('mean', 'std') if other.std is not None else ():
            values = ','.join(f'{v:g}' for v in getattr(other, name).flatten().tolist())
            remedy += f' {key}.{name}="[{values}]"'
    yield Finding(
        'the teacher is used to other images than it is given',
        f'{subject.metric} {scores["as configured"]:.1f} as configured, {scores[best]:.1f} with '
        + best,
        'the configured input to be the best of those tried',
        remedy,
        scores,
    )


def check_knowledge(subject: Subject) -> Iterator[Finding]:
    """Does the teacher know more than which class is the commonest?"""
    table = subject.teacher_confusion
    score, guess = subject.score(table), _guess(subject, table)
    subject.measured['teacher'] |= {'score of the commonest class alone': guess}
    if score < 1.5 * guess or not np.isfinite(score):
        yield Finding(
            'the teacher knows next to nothing of the validation data',
            f'{subject.metric} {score:.1f} on {subject.num_images} images; the commonest class '
            f'everywhere gives {guess:.1f}',
            'well above that',
            'check model.teacher_ckpt, and that the teacher was trained on these classes',
            {'teacher': score, 'the commonest class': guess},
        )


def check_gap(subject: Subject) -> Iterator[Finding]:
    """Is the teacher better than the student is without it?"""
    teacher = subject.score(subject.teacher_confusion)
    other, name = subject.plain, 'plain student'
    if other is None:
        if subject.checkpoint or not subject.student_has_learnt:
            raise NotCheckedError('--plain, the work dir of the plain student')
        other, name = subject.model, 'student'
    scores = {'teacher': teacher, name: subject.score(subject.confusion(other.val_step))}
    subject.measured['teacher'] |= {'against': scores}
    if teacher - scores[name] >= max(1.0, 0.02 * teacher):
        return
    yield Finding(
        'the teacher is hardly better than the student: there is nothing to learn',
        ', '.join(f'{name} {subject.metric} {value:.1f}' for name, value in scores.items())
        + f' on {subject.num_images} images',
        'a gap of several points',
        'a stronger teacher (larger, trained for longer), or a smaller student',
        scores,
    )


class _Tried(TeacherInput):
    """The student's input for a teacher that is used to another one."""

    def __init__(self, source: Normalization, target: Normalization, scale: float = 1.0) -> None:
        nn.Module.__init__(self)
        self.source, self.target, self.scale = source, target, scale

    def forward(self, inputs: Tensor, data_samples=None) -> Tensor:
        x = super().forward(inputs, data_samples)
        if self.scale == 1:
            return x
        return F.interpolate(x, scale_factor=self.scale, mode='bilinear', align_corners=False)


def _plain(value):
    """Names without case and underscores."""
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], str):
        return [name.lower().replace('_', ' ').strip() for name in value]
    return value


def _guess(subject: Subject, table: np.ndarray) -> float:
    """The score of the commonest class everywhere."""
    constant, labels = np.zeros_like(table), table.sum(1)
    constant[:, labels.argmax()] = labels
    return subject.score(constant)


def _is_clearly_better(value: float, other: float) -> bool:
    return value > other + 5 and value > 1.2 * other
