"""What is asked of the loss: projections, views, and how much is worked on at once."""

from typing import NamedTuple, Optional, Union

from torch import Tensor


class Projection(NamedTuple):
    r"""gamma, phi or theta: a 1x1 convolution without bias, then a norm.

    .. math:: y = gain \cdot (W x - mean) / \sqrt{var + eps} + bias

    Args:
        weight: W, (E, C). None: the identity, without a norm.
        norm: where the mean and the variance of W x come from: 'image' (instance norm), 'batch'
            (batch norm in training), 'fixed' (batch norm in eval mode: ``mean`` and ``var`` are
            given) or None (no norm).
        gain, bias: (E,), or None for a norm without them.
        mean, var: (E,), for 'fixed'.
        eps: of the norm.
    """

    weight: Optional[Tensor] = None
    norm: Optional[str] = None
    gain: Optional[Tensor] = None
    bias: Optional[Tensor] = None
    mean: Optional[Tensor] = None
    var: Optional[Tensor] = None
    eps: float = 1e-5

    @property
    def is_measured(self) -> bool:
        """Whether the norm asks for the moments of the map."""
        return self.norm in ('image', 'batch')


class PatchGroupView(NamedTuple):
    """See :func:`mmrazor_tat.functional.patch_groups`.

    Args:
        weight: of its loss.
        scale: c, multiplies the logits; 'auto': 1 / sqrt(width of the tokens).
    """

    grid: tuple[int, int]
    groups: int
    weight: float = 1.0
    scale: Union[float, str] = 'auto'


class AnchorPointView(NamedTuple):
    """See :func:`mmrazor_tat.functional.anchor_points`. ``kernel=1`` is the whole map.

    Args:
        weight, scale: see :class:`PatchGroupView`.
    """

    kernel: int = 1
    weight: float = 1.0
    scale: Union[float, str] = 'auto'


View = Union[PatchGroupView, AnchorPointView]


class Budget(NamedTuple):
    """How many elements are worked on at once; one image, group and row always are."""

    images: int  # of the maps of a chunk of images
    tokens: int  # of the tokens of a block of patch groups
    logits: int  # of a block of attention rows


# On a CPU a block should stay in the cache (measured, benchmarks/lean_operator.py). Elsewhere the
# cost of a launch asks for larger ones: an estimate, as no GPU was at hand.
CPU_BUDGET = Budget(images=2**22, tokens=2**19, logits=2**21)
GPU_BUDGET = Budget(images=2**24, tokens=2**22, logits=2**22)


class Settings(NamedTuple):
    """All of it, of gamma, phi and theta in this order."""

    projections: tuple[Projection, Projection, Projection]
    views: list[View]
    softmax_over: str
    budget: Budget

    def parameters(self) -> list[Optional[Tensor]]:
        """Weight, gain and bias of gamma, phi and theta: nine, some of them None."""
        return [x for q in self.projections for x in (q.weight, q.gain, q.bias)]
