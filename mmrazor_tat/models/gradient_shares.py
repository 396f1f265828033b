"""How much each loss has to say: its gradient at the features that are distilled."""

from torch import Tensor

TASK = 'task'


class GradientShares:
    """Norms of what each loss sends into the student's records in one backward pass.

    A distillation loss reads a record through a branch of its own, where its gradient is caught on
    its way; what is left of the whole gradient is the task's. So the backward pass is the usual
    one: nothing is differentiated twice.
    """

    def __init__(self) -> None:
        self._whole: dict[str, Tensor] = {}
        self._parts: dict[str, dict[str, Tensor]] = {}

    def branch(self, record: Tensor, recorder: str, loss: str) -> Tensor:
        """The record as ``loss`` is to read it.

        Args:
            record: the tensor that the recorder holds.
            recorder, loss: their names.
        """
        if not (isinstance(record, Tensor) and record.requires_grad):
            return record
        if recorder not in self._parts:
            self._parts[recorder] = {}
            record.register_hook(lambda gradient: self._whole.__setitem__(recorder, gradient))
        branch = record.view_as(record)
        branch.register_hook(lambda gradient: self._add(recorder, loss, gradient))
        return branch

    def _add(self, recorder: str, loss: str, gradient: Tensor) -> None:
        parts = self._parts[recorder]
        parts[loss] = parts[loss] + gradient if loss in parts else gradient

    def shares(self) -> dict[str, dict[str, float]]:
        """By recorder and loss: the norm of its gradient over the sum of all losses' norms.

        The student's task losses together are 'task'. Empty before the backward pass.
        """
        result = {}
        for recorder, whole in self._whole.items():
            parts = self._parts[recorder]
            # In float32: the squares of half-precision gradients overflow.
            norms = {TASK: (whole - sum(parts.values())).float().norm()}
            norms.update({loss: gradient.float().norm() for loss, gradient in parts.items()})
            total = sum(norms.values())
            result[recorder] = {loss: (norm / total).item() for loss, norm in norms.items()}
        return result
