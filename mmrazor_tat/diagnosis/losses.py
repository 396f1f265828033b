"""Do the losses say something to the student, and not too much?"""

import math
import statistics
from collections.abc import Iterator
from typing import Optional

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..models.gradient_shares import TASK
from ..models.loss_schedule import LossSchedule
from .scores import NotCheckedError
from .subject import Finding, Subject

# Least entropies: over classes, over positions, of an attention; and the greatest.
_CLASSES, _POSITIONS, _ATTENTION, _FLAT = 0.005, 0.02, 0.3, 0.999
_FACTORS = [2.0**n for n in range(1, 13)]


def check_reach(subject: Subject) -> Iterator[Finding]:
    """Does the gradient of each loss come to weights that are trained?"""
    student = subject.model.student
    trained = sum(p.numel() for p in student.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in student.parameters() if not p.requires_grad)
    subject.measured['student'] = {'trained weights': trained, 'frozen weights': frozen}
    for name, count in subject.reached.items():
        subject.measured['student'][f'reached by {name}'] = count
        weight = getattr(subject.distiller.distill_losses[name], 'loss_weight', 1)
        if count == 0 and weight != 0:
            yield Finding(
                f'{name} reaches no weight of the student that is trained',
                f'its gradient is zero in all {trained:,} of them',
                'a gradient in the layers before what it reads',
                'unfreeze them (backbone.frozen_stages=-1), or read a later module '
                '(model.distiller.student_recorders; tools/inspect_features.py lists them)',
            )
    cfg = subject.cfg.model.architecture
    is_drawn = not cfg.get('pretrained') and 'Pretrained' not in str(cfg)
    if is_drawn and not subject.student_has_learnt and frozen > 0.05 * (trained + frozen):
        yield Finding(
            'a part of the student is frozen with random weights',
            f'{frozen:,} of its {trained + frozen:,} weights are not trained, and no weights are '
            'loaded',
            'pretrained weights where stages are frozen',
            'backbone.frozen_stages=-1, or pretrained weights (architecture.pretrained, init_cfg)',
        )


def check_shares(subject: Subject) -> Iterator[Finding]:
    """What part of the gradient is each loss's, and does it point where the labels' does?"""
    balanced = {} if subject.checkpoint else _balanced(subject)
    factors = _scheduled(subject)
    # At first the weights after a feature are small, and so is the labels' gradient there.
    drowns = 0.97 if subject.student_has_learnt else 0.998
    opposing = []
    read = {name: subject.distiller.read_of_student(name) for name in subject.names}
    for record in subject.gradients[0]:
        batches = [of[record] for of in subject.gradients if record in of]
        losses = batches[0]
        norms = {k: statistics.fmean(of[k].norm for of in batches) for k in losses}
        shares = {k: statistics.fmean(of[k].share for of in batches) for k in losses}
        cosines = {k: [of[k].cosine or 0.0 for of in batches] for k in losses}
        subject.measured.setdefault('gradients', {})[record] = {
            k: dict(norm=norms[k], share=shares[k], cosine=statistics.fmean(cosines[k]))
            for k in losses
        }
        for name in losses:
            if name == TASK or TASK not in losses or record not in read[name]:
                continue
            if norms[TASK] == 0:
                yield Finding(
                    'the labels have no gradient',
                    f'that of the task losses at {record!r} is 0',
                    'what the student is to learn besides',
                    'a loss_weight above 0 of the heads (loss_decode), and labels that are not all '
                    'ignored',
                )
                return
            weight = f'model.distiller.distill_losses.{name}.loss_weight'
            factor = factors.get(name, 1.0)
            bars = {k: 100 * v for k, v in shares.items()}
            if factor == 0 or shares[name] < 0.005 and name not in balanced:
                yield Finding(
                    f'{name} weighs next to nothing',
                    f'{shares[name]:.2%} of the gradient at {record!r}'
                    + (', and LossScheduleHook ends it early' if factor == 0 else ''),
                    'about as much as the labels, 20 to 80 %',
                    f'raise {weight}, or let it set itself: --cfg-options '
                    'default_hooks.balance.type=mmrazor.GradientBalanceHook',
                    bars,
                )
            elif shares[name] > drowns and name not in balanced:
                yield Finding(
                    f'{name} drowns the labels',
                    f'{shares[name]:.1%} of the gradient at {record!r}',
                    'about as much as the labels, 20 to 80 %',
                    f'lower {weight}, or let it set itself: --cfg-options '
                    'default_hooks.balance.type=mmrazor.GradientBalanceHook',
                    bars,
                )
            mean = statistics.fmean(cosines[name])
            if mean < -0.1 and max(cosines[name]) < 0 and len(batches) > 2:
                opposing.append((name, record, mean, bars))
    for name, record, mean, bars in opposing:
        yield Finding(
            f'{name} pulls against the labels',
            f'cosine {mean:.2f} between the two gradients at {record!r}, below 0 in every batch',
            'around 0 or above',
            'check that it compares the same classes and places; else a smaller share '
            '(GradientBalanceHook(target=0.2))',
            bars,
        )


def _balanced(subject: Subject) -> list[str]:
    """The losses whose weights will set themselves."""
    targets = [hook.get('target', 0.5) for hook in subject.hooks('GradientBalanceHook')]
    names = [of if isinstance(of, dict) else subject.names for of in targets]
    return [name for of in names for name in of]


def _scheduled(subject: Subject) -> dict[str, float]:
    """The factors of LossScheduleHook after a tenth of the training, by loss."""
    tenth = (subject.cfg.get('train_cfg') or {}).get('max_iters', 0) // 10
    schedules = [hook.get('schedules', {}) for hook in subject.hooks('LossScheduleHook')]
    return {k: LossSchedule(**of).factor(tenth) for every in schedules for k, of in every.items()}


def check_softmaxes(subject: Subject) -> Iterator[Finding]:
    """Are the softmaxes in the losses neither one-hot nor flat?"""
    found = False
    for name in subject.names:
        seen = _Softmaxes()
        with torch.no_grad(), subject.replayed(subject.maps[-1]), seen:
            subject.distiller.compute_loss(name)
        if not seen.entropies:
            continue
        found = True
        least = min(seen.entropies)
        subject.measured.setdefault('entropy of softmaxes', {})[name] = seen.entropies
        loss = subject.distiller.distill_losses[name]
        is_attention = hasattr(loss, 'views') or hasattr(loss, 'softmax_over')
        of_classes = len(subject.classes) == seen.sharpest.shape[-1]
        bound = _ATTENTION if is_attention else _CLASSES if of_classes else _POSITIONS
        if least < bound:
            of = {f: _entropy(seen.sharpest / f) for f in (1.0, *_FACTORS)}
            factor = next((f for f in _FACTORS if of[f] > 0.2), _FACTORS[-1])
            yield Finding(
                f'a softmax in {name} is nearly one-hot',
                f'entropy {least:.2%} of the largest possible: a single position or class counts',
                'well above that, so that the others have a gradient',
                _temperature(subject, name, factor),
                {f'logits / {f:g}': 100 * of[f] for f in (1.0, *_FACTORS) if f <= 4 * factor},
            )
        elif hasattr(loss, 'tau') and least > _FLAT:
            of = {f: _entropy(seen.sharpest * f) for f in _FACTORS}
            factor = next((f for f in _FACTORS if of[f] < 0.9), _FACTORS[-1])
            yield Finding(
                f'the softmaxes in {name} are flat',
                f'entropy {least:.2%} of the largest possible: all classes or positions count '
                'alike',
                'what the teacher prefers to show',
                _temperature(subject, name, 1 / factor),
                {f'logits x {f:g}': 100 * of[f] for f in _FACTORS if f <= 4 * factor},
            )
    if not found:
        raise NotCheckedError('a loss with a softmax')


class _Softmaxes(TorchDispatchMode):
    """Inside, the entropy of every softmax is noted, and the logits of the sharpest."""

    def __init__(self) -> None:
        super().__init__()
        self.entropies: list[float] = []
        self.sharpest: Optional[Tensor] = None  # (..., N); a copy, as buffers are used again

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        # The last is that of the lean operator, into a buffer.
        kinds = ('_softmax', '_log_softmax', 'softmax')
        if func.overloadpacket.__name__ in kinds and args[0].shape[args[1]] > 1:
            logits = args[0].detach().float().movedim(args[1], -1)
            entropy = _entropy(logits)
            if entropy < min(self.entropies, default=math.inf):
                self.sharpest = logits.clone()
            self.entropies.append(entropy)
        return func(*args, **(kwargs or {}))


def _entropy(logits: Tensor) -> float:
    """That of their softmax, the mean, as a share of its largest."""
    most = math.log(logits.shape[-1])
    return torch.special.entr(logits.softmax(-1)).sum(-1).mean().item() / most


def _temperature(subject: Subject, name: str, factor: float) -> str:
    loss, key = subject.distiller.distill_losses[name], f'model.distiller.distill_losses.{name}'
    if hasattr(loss, 'tau'):
        return f'--cfg-options {key}.tau={loss.tau * factor:g}'
    if hasattr(loss, 'softmax_over') or hasattr(loss, 'views'):
        return f'--cfg-options {key}.scale=auto (1 / sqrt(width))'
    return f'divide its logits by {factor:g}'
