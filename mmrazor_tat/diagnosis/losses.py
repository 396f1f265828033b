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
from ..models.probe import is_off
from .scores import NotCheckedError
from .subject import Finding, Subject

# Least entropies: over classes, over positions, of an attention; and the greatest.
_CLASSES, _POSITIONS, _ATTENTION, _FLAT = 0.005, 0.02, 0.3, 0.998
_BALANCE = '--cfg-options default_hooks.balance.type=mmrazor.GradientBalanceHook'
_FACTORS = [2.0**n for n in range(1, 13)]


def check_reach(subject: Subject) -> Iterator[Finding]:
    """Does the gradient of each loss come to weights that are trained?"""
    trained = sum(p.numel() for p in subject.trained)
    frozen = sum(p.numel() for p in subject.model.student.parameters()) - trained
    subject.measured['student'] = {'trained weights': trained, 'frozen weights': frozen}
    if not trained:
        yield Finding(
            'no weight of the student is trained',
            f'all {frozen:,} are frozen, or have a learning rate of 0',
            'a learning rate above 0',
            'optim_wrapper.optimizer.lr and the lr_mult in optim_wrapper.paramwise_cfg above 0, '
            'model.architecture.backbone.frozen_stages=-1',
        )
        return
    for name, count in subject.reached.items():
        subject.measured['student'][f'reached by {name}'] = count
        if count == 0 and not is_off(subject.distiller.distill_losses[name]):
            yield Finding(
                f'{name} reaches no weight of the student that is trained',
                f'its gradient is zero in all {trained:,} of them',
                'a gradient in the layers before what it reads',
                'unfreeze: --cfg-options model.architecture.backbone.frozen_stages=-1; or read '
                'a later module (student_recorders; tools/inspect_features.py lists them)',
            )
    cfg = subject.cfg.model.architecture
    is_drawn = not cfg.get('pretrained') and 'Pretrained' not in str(cfg)
    if is_drawn and not subject.student_has_learnt and frozen > 0.05 * (trained + frozen):
        yield Finding(
            'a part of the student is frozen with random weights',
            f'{frozen:,} of its {trained + frozen:,} weights are frozen, or have a learning rate '
            'of 0, and no weights are loaded',
            'pretrained weights where stages are frozen',
            '--cfg-options model.architecture.backbone.frozen_stages=-1, a lr_mult above 0, or '
            'pretrained weights (model.architecture.pretrained)',
        )


def check_shares(subject: Subject) -> Iterator[Finding]:
    """What part of the gradient is each loss's, and does it point where the labels' does?"""
    balanced = {} if subject.checkpoint else _balanced(subject)
    factors = _scheduled(subject)
    # At first the weights after a feature are small, and so is the labels' gradient there.
    drowns = 0.97 if subject.student_has_learnt else 0.998
    drowning, light, opposing = [], [], []
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
            factor, share = factors.get(name, 1.0), norms[name] / (norms[name] + norms[TASK])
            bars = {k: 100 * v for k, v in shares.items()}
            of = f"{share:.2%} of its and the labels' gradient at {record!r}"
            expected = 'about as much as the labels, 20 to 80 %'
            remedy = _weigh(subject, name, norms[name] / norms[TASK])
            cause = f'{name} weighs next to nothing'
            if factor < 0.05:
                of = f'LossScheduleHook leaves it {factor:.1%} of its weight over the training'
                remedy = 'a shorter warmup, or a later decay and stop, in its schedules'
                light.append(Finding(cause, of, expected, remedy))
            elif share < 0.005 and name not in balanced:
                light.append(Finding(cause, of, expected, remedy, bars))
            elif share > drowns and name not in balanced:
                drowning.append(Finding(f'{name} drowns the labels', of, expected, remedy, bars))
            mean = statistics.fmean(cosines[name])
            if mean < -0.1 and max(cosines[name]) < 0 and len(batches) > 2:
                cause, expected = f'{name} pulls against the labels', 'around 0 or above'
                of = f'cosine {mean:.2f} of the two gradients at {record!r}, below 0 in every batch'
                remedy = 'check that it compares the same classes and places; else a smaller share:'
                remedy += f' {_BALANCE} default_hooks.balance.target=0.2'
                opposing.append(Finding(cause, of, expected, remedy, bars))
    yield from (*drowning, *light, *opposing)


def _weigh(subject: Subject, name: str, ratio: float) -> str:
    """What gives a loss, whose gradient is this multiple of the labels', as much to say as them."""
    # As configured: a loss of several parts has it in each of them.
    settings = subject.cfg.model.distiller.distill_losses[name]
    loss = subject.distiller.distill_losses[name]
    weight = settings.get('loss_weight', getattr(loss, 'loss_weight', 0))
    key = f'model.distiller.distill_losses.{name}.loss_weight'
    to = f'--cfg-options {key}={weight / ratio:.2g}' if weight * ratio > 0 else f'a {key} above 0'
    return f'{to}; or let it set itself: {_BALANCE}'


def _balanced(subject: Subject) -> list[str]:
    """The losses whose weights will set themselves."""
    targets = [hook.get('target', 0.5) for hook in subject.hooks('GradientBalanceHook')]
    names = [of if isinstance(of, dict) else subject.names for of in targets]
    return [name for of in names for name in of]


def _scheduled(subject: Subject) -> dict[str, float]:
    """The factors of LossScheduleHook, the mean over the training, by loss."""
    moments = [int(subject.iterations * (n + 0.5) / 20) for n in range(20)]
    schedules = [hook.get('schedules', {}) for hook in subject.hooks('LossScheduleHook')]
    return {
        name: statistics.fmean(map(LossSchedule(**of).factor, moments))
        for every in schedules
        for name, of in every.items()
    }


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
        return f'--cfg-options {key}.scale=auto'
    return f'divide its logits by {factor:g}'
