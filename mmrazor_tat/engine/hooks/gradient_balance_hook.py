"""Distillation losses that weigh as much as they should."""

import math
from collections.abc import Mapping
from typing import Optional, Union

import torch
from mmengine.dist import all_reduce
from mmrazor.registry import HOOKS

from ...models.distillers.records import check_loss_names, name_for_log
from ...models.gradient_shares import TASK
from ...models.losses.base import check_count
from ..runner.evaluation import bare_model
from .gradient_share_hook import GradientShareHook

STATE = 'gradient_balance'  # in the message hub, which checkpoints hold
_LONG = 10  # measurements in a row that make an opposition worth a word


@HOOKS.register_module()
class GradientBalanceHook(GradientShareHook):
    """Set the factors of distillation losses so that their gradients have the share wished for.

    Every ``interval`` iterations the gradient of each loss is measured at the records of the
    student that it reads, as :class:`GradientShareHook` does (and logs). A loss of share s is then
    multiplied by what makes the norm of its gradient there s / (1 - S) times that of all that is
    not balanced (the labels, and losses without a target); S is the sum of the shares of the losses
    that read the same. So s is its share of what the labels and these losses say at what it reads.
    Of the ratio a running geometric mean is kept, and the factor's logarithm moves 1 / interval of
    the way in each iteration; ``loss_weight`` cancels out. It is logged as 'balance/NAME'.

    The same on all processes; a resumed run goes on as it was. ``LossScheduleHook``'s factors come
    on top: a warm-up is one of the share.

    Args:
        target: the share of the distillation losses, in (0, 1), in equal parts where several read
            the same; or shares by the name of a loss. Losses without one keep their weight.
        interval: iterations between two measurements.
        warmup: iterations in which the factors stay 1 and measurements are gathered.
        momentum: of the running mean, in [0, 1): what a measurement leaves of those before.
        bounds: the least and the largest factor.

    Raises:
        ValueError: a setting out of range; before training, a model without distillation or
            without losses of the labels, a name that is no distillation loss.
    """

    def __init__(
        self,
        target: Union[float, Mapping[str, float]] = 0.5,
        interval: int = 50,
        warmup: int = 100,
        momentum: float = 0.7,
        bounds: tuple[float, float] = (1e-4, 1e4),
    ) -> None:
        super().__init__(interval)
        check_count('warmup', warmup, 0)
        if isinstance(target, Mapping):
            target = {name: share for name, share in target.items() if name != '_scope_'}
        shares = [*target.values()] if isinstance(target, dict) else [target]
        are_numbers = all(type(share) in (int, float) and share > 0 for share in shares)
        if not shares or not are_numbers or not max(shares) < 1:
            raise ValueError(
                'target must be a share of the gradient above 0 and below 1, or such shares by the '
                f'name of a loss, got {target!r}'
            )
        if type(momentum) not in (int, float) or not 0 <= momentum < 1:
            raise ValueError(f'momentum must be a number from 0 to below 1, got {momentum!r}')
        are_two = isinstance(bounds, (tuple, list)) and len(bounds) == 2
        are_two = are_two and all(type(bound) in (int, float) for bound in bounds)
        if not are_two or not 0 < bounds[0] <= 1 <= bounds[1] < math.inf:
            raise ValueError(
                f'bounds must be two numbers above 0, one below and one above 1, got {bounds!r}'
            )
        self.target, self.warmup, self.momentum, self.bounds = target, warmup, momentum, bounds

    def before_train(self, runner) -> None:
        super().before_train(runner)
        model = bare_model(runner)
        mappings = model.distiller.loss_forward_mappings
        read = {name: frozenset(model.distiller.read_of_student(name)) for name in mappings}
        if isinstance(self.target, dict):
            check_loss_names('GradientBalanceHook: target', list(self.target), model)
            shares = self.target
        else:
            alike = [*read.values()]
            shares = {name: self.target / alike.count(read[name]) for name in mappings}
        if not model.calculate_student_loss and set(shares) == set(mappings):
            raise ValueError(
                'GradientBalanceHook: calculate_student_loss is False, so there is nothing that '
                'the distillation losses could be balanced against; leave the hook out'
            )
        self.wished = {}
        for name, share in shares.items():
            together = sum(of for other, of in shares.items() if read[other] == read[name])
            if together >= 1:
                raise ValueError(
                    f'GradientBalanceHook: target must be below 1 for all losses together that '
                    f'read the same as {name}, got {self.target!r}'
                )
            self.wished[name] = share / (1 - together)
        known = runner.message_hub.get_info(STATE) if runner._resume else None
        # By loss: how many measurements, the mean log ratio, the log of the factor, and how many
        # measurements in a row opposed the labels.
        self.state = {name: list((known or {}).get(name, (0, 0.0, 0.0, 0))) for name in shares}
        self.bounded: set[str] = set()  # the losses whose factor ended at a bound

    def before_train_iter(self, runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        super().before_train_iter(runner, batch_idx, data_batch)
        for name, state in self.state.items():
            count, mean, now, _ = state
            if runner.iter >= self.warmup and count:
                least, largest = map(math.log, self.bounds)
                wanted = min(max(math.log(self.wished[name]) - mean, least), largest)
                state[2] += (wanted - now) / self.interval
                if wanted in (least, largest) and name not in self.bounded:
                    self.bounded.add(name)
                    runner.logger.warning(
                        f'GradientBalanceHook: iteration {runner.iter + 1}: for its share {name} '
                        f'needs a factor of {self.wished[name] / math.exp(mean):.2g}, beyond '
                        f'bounds={self.bounds}: change its loss_weight, or them'
                    )
            factor = math.exp(state[2])
            bare_model(runner).distiller.balance_factors[name] = factor
            runner.message_hub.update_scalar(f'train/balance/{name_for_log(name) or name}', factor)

    def after_train_iter(
        self,
        runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        for name, state in self.state.items() if self._is_due(runner) else ():
            norm, rest, cosine = self._measure(runner, name)
            factor = bare_model(runner).distiller.factor(name)
            if factor > 0 and norm > 0 and rest > 0 and math.isfinite(norm / rest):
                state[0] += 1
                step = max(1 / state[0], 1 - self.momentum)
                state[1] += step * (math.log(norm / factor / rest) - state[1])
            state[3] = state[3] + 1 if cosine < 0 else 0
            if state[3] == _LONG:
                runner.logger.warning(
                    f'GradientBalanceHook: iteration {runner.iter + 1}: the gradient of {name} has '
                    f'opposed that of the labels in {_LONG} measurements in a row (cosine now '
                    f'{cosine:.2f}): a smaller share may serve the student better'
                )
        runner.message_hub.update_info(STATE, {k: tuple(v) for k, v in self.state.items()})

    def _measure(self, runner, name: str) -> tuple[float, float, float]:
        """At the records that a loss reads: the norm of its gradient, the sum of the norms of all
        that is not balanced, its cosine to the labels' gradient; means over all processes."""
        model = bare_model(runner)
        read = dict.fromkeys(model.distiller.read_of_student(name))
        found = [model.loss_gradients[of] for of in read if of in model.loss_gradients]

        def joint(loss: str) -> float:  # as of one vector of all its records
            return math.hypot(*(gradients[loss].norm for gradients in found))

        others = {loss for gradients in found for loss in gradients} - set(self.state)
        norm, task = (joint(name), joint(TASK)) if TASK in others else (joint(name), 0.0)
        dot = sum((of[name].cosine or 0.0) * of[name].norm * of[TASK].norm for of in found if task)
        means = torch.tensor([norm, sum(map(joint, others)), dot, norm * task], dtype=torch.float64)
        all_reduce(means, 'mean')
        norm, rest, dot, both = means.tolist()
        return norm, rest, dot / both if both > 0 else 0.0


def factors_of(checkpoint: dict) -> dict[str, float]:
    """The factors that a checkpoint's training had come to, by loss; none without the hook."""
    hub = (checkpoint.get('message_hub') or {}).get('runtime_info') or {}
    return {name: math.exp(state[2]) for name, state in (hub.get(STATE) or {}).items()}
