"""Is the teacher worth listening to, and does it speak of the student's classes?"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.device import get_device
from torch import Tensor, nn

from ..models.teacher.input import Normalization, TeacherInput
from .scores import NotCheckedError, assignment, guess_of, iou, renumbered
from .subject import Finding, Subject

_NORMALIZATIONS = {  # mean and std of three channels
    "ImageNet's mean and std": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    'values from -1 to 1': ((127.5,) * 3, (127.5,) * 3),
    'values from 0 to 1': ((0.0,) * 3, (255.0,) * 3),
    'values from 0 to 255': ((0.0,) * 3, (1.0,) * 3),
}


def check_classes(subject: Subject) -> Iterator[Finding]:
    """Would the teacher be better if its classes were numbered otherwise?"""
    table = subject.teacher_confusion
    right = iou(table)
    own, matched = subject.score(table), subject.score(renumbered(subject.teacher_tables))
    present = table.sum(1) > 0
    predicted, label = assignment(table)
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
    if len(subject.val_batches[0]['inputs'][0]) == 3:
        tried['channels reversed'] = _Tried(own.source, swapped)
        for name, (mean, std) in _NORMALIZATIONS.items():
            for order in (now, swapped):
                of = (torch.tensor(x, device=get_device()).view(-1, 1, 1) for x in (mean, std))
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
            scores[name] = subject.score(subject.tables(model.teacher_val_step).sum(0))
        finally:
            model.teacher_input = own
    subject.measured['teacher'] |= {'score by input': scores}
    best = max(scores, key=scores.get)
    simpler = scores.get(best.removesuffix(', channels reversed'), 0.0)
    is_as_good = not _is_clearly_better(scores[best], simpler)
    if is_as_good and _is_clearly_better(simpler, scores['as configured']):
        best = best.removesuffix(', channels reversed')
    guess = guess_of(table, subject.metric)
    knows = scores[best] - guess > 0.1 * (100 - guess)
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
    remedy = 'check model.teacher_ckpt, and that the teacher was trained on these classes'
    cause = 'the teacher knows next to nothing of the validation data'
    yield from _ignorance(subject, 'teacher', subject.teacher_confusion, cause, remedy)


def check_student(subject: Subject) -> Iterator[Finding]:
    """Does the trained student know more than which class is the commonest?"""
    if not subject.checkpoint or not subject.val_batches:
        raise NotCheckedError('a trained student')
    table = subject.tables(subject.model.val_step).sum(0)
    remedy = 'more iterations (train_cfg.max_iters, and end of param_scheduler), or a larger '
    remedy += 'learning rate (optim_wrapper.optimizer.lr)'
    cause = 'the student has learnt next to nothing yet'
    yield from _ignorance(subject, 'trained student', table, cause, remedy)


def _ignorance(
    subject: Subject, who: str, table: np.ndarray, cause: str, remedy: str
) -> Iterator[Finding]:
    score, guess = subject.score(table), guess_of(table, subject.metric)
    of = {'score': score, 'score of the commonest class alone': guess}
    subject.measured[who] = subject.measured.get(who, {}) | of
    if not score - guess > 0.05 * (100 - guess):  # NaN too
        yield Finding(
            cause,
            f'{subject.metric} {score:.1f} on {subject.num_images} images; the commonest class '
            f'everywhere gives {guess:.1f}',
            'well above that',
            remedy,
            {who: score, 'the commonest class': guess},
        )


def check_gap(subject: Subject) -> Iterator[Finding]:
    """Is the teacher better than the student is without it?"""
    tables = {'teacher': subject.teacher_tables}
    other, name = subject.plain, 'plain student'
    if other is None:
        if subject.checkpoint or not subject.student_has_learnt:
            raise NotCheckedError('--plain, the work dir of the plain student')
        other, name = subject.model, 'student'
    tables[name] = subject.tables(other.val_step)
    scores, error = subject.compared(tables)
    subject.measured['teacher'] |= {'against': scores, 'error of the difference': error}
    gap, least = scores['teacher'] - scores[name], max(1.0, 0.02 * scores['teacher'])
    if gap >= least:
        return
    if gap + 2 * error >= least:
        raise NotCheckedError(f'a clearer gap, {gap:.1f} ± {error:.1f} so far (--num-images)')
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


def _is_clearly_better(value: float, other: float) -> bool:
    return value > other + 5 and value > 1.2 * other
