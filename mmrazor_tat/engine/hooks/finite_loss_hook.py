"""A loss that is no number ends the run, before it is in a checkpoint."""

from numbers import Number
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmrazor.registry import HOOKS
from torch import Tensor

from ...utils.work_dir import last_checkpoint_of

_ADVICE = (
    'Lower the learning rate or the weight of that loss, or warm it up (LossScheduleHook); '
    'clip gradients (optim_wrapper.clip_grad); with --amp try dtype=bfloat16. To train on '
    'regardless: tools/train.py --allow-nonfinite'
)


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop at a loss that is NaN or infinite, and write no checkpoint of weights that are.

    The losses of each iteration are looked at before a checkpoint can be written; at each
    checkpoint the parameters and the statistics of batch norms as well, which a gradient may have
    spoilt under finite losses, or another process. What was written before stays.

    Gradients that overflow under a dynamic loss scale are none of this: that step is left out.

    Raises:
        FloatingPointError: names the losses, or the weights, and the iteration.
    """

    priority = 'ABOVE_NORMAL'  # before the hooks that write

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: Optional[dict] = None
    ) -> None:
        losses = {
            name: torch.as_tensor(value).detach()
            for name, value in (outputs or {}).items()
            if 'loss' in name and isinstance(value, (Tensor, Number))
        }
        bad = [name for name, value in losses.items() if not value.isfinite().all()]
        if bad:
            named = [name for name in bad if name != 'loss'] or bad
            values = ', '.join(f'{name} is {float(losses[name].float().mean())}' for name in named)
            others = [name for name in losses if name not in bad]
            finite = f' ({", ".join(others)} finite)' if others else ''
            raise FloatingPointError(
                f'iteration {runner.iter + 1}: {values}{finite}' + self._end(runner)
            )

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        # A buffer may be infinite by design.
        names = {name.removeprefix('module.') for name, _ in runner.model.named_parameters()}
        bad = [
            name
            for name, value in checkpoint.get('state_dict', {}).items()
            if (name in names or name.endswith(('running_mean', 'running_var')))
            and isinstance(value, Tensor)
            and value.is_floating_point()
            and not value.isfinite().all()
        ]
        if bad:
            more = f' and {len(bad) - 3} more' if len(bad) > 3 else ''
            # A checkpoint by epochs, or of a best score, comes after the iteration is counted.
            done = (checkpoint.get('meta') or {}).get('iter', runner.iter)
            raise FloatingPointError(
                f'iteration {done}: {", ".join(bad[:3])}{more} hold NaN or infinity: no checkpoint '
                'is written of such weights' + self._end(runner)
            )

    @staticmethod
    def _end(runner) -> str:
        last = last_checkpoint_of(runner)
        kept = f'The last good checkpoint is {last}' if last else 'There is no checkpoint yet'
        return f'. {kept}. {_ADVICE}'
