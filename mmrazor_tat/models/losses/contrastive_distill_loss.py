r"""Contrastive representation distillation."""

import math
from collections.abc import Sequence
from typing import Any, Optional

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, all_reduce
from mmrazor.registry import MODELS
from torch import Tensor, nn

from ...functional import at_least_float32, full_precision
from ..data_samples import labels, sample_indices
from .base import DistillLoss, check_count, check_weight


@MODELS.register_module()
class ContrastiveDistillLoss(DistillLoss):
    r"""Contrastive representation distillation, CRD (Tian et al., ICLR 2020).

    The embeddings s and t of one image are told from those of N other images:

    .. math:: L = -\frac{w}{B} \sum_i \Big( \log h(s_i, \bar t_i)
        + \sum_n \log \big(1 - h(s_i, \bar t_n)\big) + \log h(t_i, \bar s_i)
        + \sum_n \log \big(1 - h(t_i, \bar s_n)\big) \Big), \quad
        h(a, b) = \frac{e^{a^T b / \tau}}{e^{a^T b / \tau} + N \mu}

    s and t are a linear layer each on the mean of the map over its positions, of length 1;
    both are learnt. The barred ones come from a memory of all M images, the image's own
    from its last visit: after each batch they become m times themselves plus 1 - m times the
    batch's, of length 1 again. The paper writes N / M for N mu; mu is the mean of
    exp(a^T b / tau) over the first batch, one for s and one for t, as in the authors' code, which
    the published figures come from (there exp is divided by Z = M mu, and M cancels).

    Negatives are drawn independently and uniformly from the images of another class ('other_class',
    the authors' loader, which draws each at most once: the expectation is the same), or from
    all other images ('other_image', for data without labels). What class an image is of is learnt
    when it comes; until then its memory is random, and it is a negative for all. The authors'
    mode 'exact' is this; their 'relax', with another image of the class as the positive, is not
    here.

    With several processes all memories take in the images of all, so that they stay the same.
    What is not finite is not remembered. Memories and mu are part of the ``state_dict``: 2 M d
    numbers, 49 MiB for CIFAR-100.

    MMRazor's ``CRDLoss`` has this equation, but never applies its weight, draws its negatives on
    the CPU, where a memory on a GPU cannot use them, lets the memories of processes drift apart,
    writes to them in evaluation and in the dry run too, and prints.

    Args:
        num_samples: M, images of the training data: 50000 for CIFAR-100.
        s_channels, t_channels: widths of the maps. None: :class:`FrozenTeacherDistill` reads them.
        dim: d, width of the embeddings. The authors use 128.
        num_negatives: N, 16384 in the paper.
        temperature: tau. The authors use 0.07.
        momentum: m, from 0 to below 1. The authors use 0.5.
        negatives: 'other_class' or 'other_image'.
        loss_weight: w, at least 0. The authors use 0.8 on CIFAR-100.

    Raises:
        ValueError: a setting out of range; in ``forward`` features or samples that do not fit.
    """

    def __init__(
        self,
        num_samples: int,
        s_channels: Optional[int] = None,
        t_channels: Optional[int] = None,
        dim: int = 128,
        num_negatives: int = 16384,
        temperature: float = 0.07,
        momentum: float = 0.5,
        negatives: str = 'other_class',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        check_count('num_samples', num_samples, least=2)
        check_count('dim', dim)
        check_count('num_negatives', num_negatives)
        check_weight('temperature', temperature, positive=True)
        check_weight('momentum', momentum)
        if momentum >= 1:
            raise ValueError(f'momentum must be below 1, got {momentum!r}')
        if negatives not in ('other_class', 'other_image'):
            raise ValueError(f"negatives must be 'other_class' or 'other_image', got {negatives!r}")
        self.num_samples, self.num_negatives, self.dim = num_samples, num_negatives, dim
        self.temperature, self.momentum, self.negatives = temperature, momentum, negatives
        bound = math.sqrt(3 / dim)  # of length 1 on average
        for name in ('memory_s', 'memory_t'):
            self.register_buffer(name, torch.empty(num_samples, dim).uniform_(-bound, bound))
        self.register_buffer('classes', torch.full((num_samples,), -1))  # -1: not yet known
        self.register_buffer('log_mu', torch.full((2,), -math.inf))  # -inf: not yet known
        self._mu_is_known = False
        self.s_channels: Optional[int] = None
        self.t_channels: Optional[int] = None
        if s_channels is not None and t_channels is not None:
            self.set_channels(s_channels, t_channels)

    @property
    def has_channels(self) -> bool:
        """Whether the layers have been made."""
        return self.s_channels is not None

    def set_channels(self, s_channels: int, t_channels: int) -> None:
        """Make the layers for the widths of the two maps."""
        self.s_channels, self.t_channels = s_channels, t_channels
        self.s_embed = nn.Linear(s_channels, self.dim)
        self.t_embed = nn.Linear(t_channels, self.dim)

    def forward(self, s_feature: Tensor, t_feature: Tensor, data_samples: Sequence[Any]) -> Tensor:
        """The loss of a batch; in training the memories take it in.

        Args:
            s_feature: (B, C_s, H, W) or (B, C_s), of the student; the usual one is its last map.
            t_feature: the same of the teacher; no gradient flows into it.
            data_samples: B, with ``sample_idx`` and, for 'other_class', ``gt_label``; see
                :mod:`mmrazor_tat.models.data_samples`.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        self._check(s_feature, t_feature, data_samples)
        device = s_feature.device
        index = sample_indices(data_samples, self.num_samples, device)
        classes = None
        if self.negatives == 'other_class':
            classes = self.classes.clone()
            classes[index] = labels(data_samples, device)
        with full_precision(s_feature):
            s, t = at_least_float32(s_feature, t_feature.detach())
            s = F.normalize(self.s_embed(_pooled(s)), dim=1)  # (B, d)
            t = F.normalize(self.t_embed(_pooled(t)), dim=1)
            chosen = torch.cat([index[:, None], self.draw(index, classes)], 1)  # (B, 1 + N)
            logits = torch.stack(
                [self._logits(s, self.memory_t, chosen), self._logits(t, self.memory_s, chosen)]
            )  # (2, B, 1 + N), the positive first
            odds = logits - self._log_mu(logits)[:, None, None] - math.log(self.num_negatives)
            loss = -F.logsigmoid(odds[..., 0]).sum() - F.logsigmoid(-odds[..., 1:]).sum()
        if self.training:
            self._remember(index, s.detach(), t.detach(), classes)
        return self.loss_weight * loss / len(s_feature)

    def draw(self, index: Tensor, classes: Optional[Tensor] = None) -> Tensor:
        """Negatives of (B,) images, (B, N) images of the data set, by torch's random numbers;
        ``classes``: (M,) that of each image, or -1; None: from all other images."""
        shape = (len(index), self.num_negatives)
        if classes is None:
            drawn = torch.randint(self.num_samples - 1, shape, device=index.device)
            return drawn + (drawn >= index[:, None])
        ordered, order = classes.sort()
        own = classes[index]
        first = torch.searchsorted(ordered, own)[:, None]
        count = torch.searchsorted(ordered, own, right=True)[:, None] - first
        # One of the M - count places outside the block of the own class.
        places = self.num_samples - count
        drawn = torch.rand(shape, dtype=torch.float64, device=index.device) * places
        drawn = torch.minimum(drawn.long(), places - 1)
        return order[drawn + (drawn >= first) * count]

    def _logits(self, anchors: Tensor, memory: Tensor, chosen: Tensor) -> Tensor:
        # All products, then the chosen: a row of the memory for each would be N times d numbers
        # an image. A copy, as the memory changes before the backward pass.
        return (anchors @ memory.clone().mT).gather(1, chosen) / self.temperature

    def _log_mu(self, logits: Tensor) -> Tensor:
        """(2,), of the first batch in training ever since."""
        if not self._mu_is_known:
            self._mu_is_known = bool(self.log_mu.isfinite().all())
        if self._mu_is_known:
            return self.log_mu
        logits = logits.detach().flatten(1)
        mu = (logits.logsumexp(1) - math.log(logits.shape[1])).exp()
        all_reduce(mu, op='mean')
        log_mu = torch.where(self.log_mu.isinf(), mu.log(), self.log_mu)
        if self.training:
            # A batch that overflowed is no measure for all that follow.
            self.log_mu.copy_(log_mu.where(log_mu.isfinite(), self.log_mu))
        return log_mu

    @torch.no_grad()
    def _remember(self, index: Tensor, s: Tensor, t: Tensor, classes: Optional[Tensor]) -> None:
        own = index if classes is None else classes[index]
        index, own, s, t = (torch.cat(all_gather(x)) for x in (index, own, s, t))
        if classes is not None:
            self.classes[index] = own
        for memory, x in ((self.memory_s, s), (self.memory_t, t)):
            mixed = self.momentum * memory[index] + (1 - self.momentum) * x
            # A map that overflowed in half precision would stay in the memory for good.
            is_sound = mixed.isfinite().all(1, keepdim=True)
            memory[index] = F.normalize(mixed, dim=1).where(is_sound, memory[index])

    def _check(self, s_feature: Tensor, t_feature: Tensor, data_samples: Sequence[Any]) -> None:
        if not self.has_channels:
            raise RuntimeError(
                'ContrastiveDistillLoss has no channels yet: give s_channels and t_channels, or '
                'build it inside FrozenTeacherDistill, which reads them from the models'
            )
        if not len(s_feature) == len(t_feature) == len(data_samples):
            raise ValueError(
                f's_feature has {len(s_feature)} images, t_feature has {len(t_feature)}, '
                f'data_samples has {len(data_samples)}: they must be the same'
            )
        for name, x, width in (
            ('s_feature', s_feature, self.s_channels),
            ('t_feature', t_feature, self.t_channels),
        ):
            if x.dim() not in (2, 4) or x.shape[1] != width:
                raise ValueError(
                    f'{name} has shape {tuple(x.shape)}, ContrastiveDistillLoss was made for maps '
                    f'(B, {width}, H, W) or vectors (B, {width})'
                )


def _pooled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C)."""
    return x.flatten(2).mean(2) if x.dim() == 4 else x
