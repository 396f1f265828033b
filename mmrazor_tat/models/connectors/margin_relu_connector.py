"""The teacher's side of Overhaul distillation."""

from typing import Optional

import torch
from mmrazor.models.architectures.connectors.base_connector import BaseConnector
from mmrazor.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@MODELS.register_module()
class MarginReLUConnector(BaseConnector):
    r"""max(x, m): the margin ReLU of "A Comprehensive Overhaul of Feature Distillation" (Heo et
    al., ICCV 2019).

    The margin of a channel is the mean of its negative responses before the ReLU, which the
    teacher's batch norm gives in closed form: with x ~ N(bias, gain^2),

    .. math:: m = \mathrm{E}[x \mid x < 0]
        = \mu - \sigma \frac{\varphi(\mu / \sigma)}{\Phi(-\mu / \sigma)},
        \quad \mu = \mathrm{bias}, \; \sigma = |\mathrm{gain}|

    and -3 sigma where x < 0 is rarer than 0.001, as in the authors' code. It is for the record of
    a point before a ReLU: the margin comes from the batch norm that ends the block which holds
    the recorded activation.

    MMRazor's ``OFDTeacherConnector`` asks for a record of the batch norm itself. In a residual
    block that is the point before the ReLU only where the addition is made in place and the ReLU
    is not; a SyncBN is replaced by the runner after the recorders are set; its margin is not saved.

    Args:
        norm: name of the batch norm in the teacher; None: found from the record's source.
        init_cfg: see mmengine's BaseModule.
    """

    margin: Optional[Tensor]

    def __init__(self, norm: Optional[str] = None, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.norm = norm
        self.register_buffer('margin', None)

    def prepare_from_teacher(self, teacher: nn.Module, source: str) -> None:
        """Read the margin from the loaded teacher, whose module ``source`` is recorded, e.g.
        'backbone.layer4.2.relu'; ValueError where no batch norm with gain and bias is found."""
        name = self.norm or _last_norm(teacher, source)
        norm = dict(teacher.named_modules()).get(name)
        if not isinstance(norm, _BatchNorm) or norm.weight is None:
            raise ValueError(
                f'MarginReLUConnector finds no batch norm with gain and bias for {source!r} in the '
                f"teacher (norm={name!r}): set the connector's norm to the one before that ReLU"
            )
        self.margin = expected_negative(norm.bias.detach(), norm.weight.detach().abs())

    def forward_train(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        if self.margin is None:
            raise RuntimeError(
                'MarginReLUConnector has no margin yet: it is read from the teacher inside '
                'FrozenTeacherDistill'
            )
        return torch.maximum(feature, self.margin[:, None, None].to(feature.dtype))


def expected_negative(mean: Tensor, std: Tensor) -> Tensor:
    """E[x | x < 0] of normal distributions; -3 std where P(x < 0) <= 0.001 (and 0 for std = 0)."""
    z = -mean / std
    share = torch.special.ndtr(z)
    density = torch.exp(-(z**2) / 2) / (2 * torch.pi) ** 0.5
    return torch.where(share > 0.001, mean - std * density / share, -3 * std)


def _last_norm(teacher: nn.Module, source: str) -> Optional[str]:
    """The last batch norm among the siblings of a module: the one before a block's last ReLU."""
    prefix = source[: source.rfind('.') + 1]
    names = [
        f'{prefix}{name}'
        for name, child in teacher.get_submodule(prefix[:-1]).named_children()
        if isinstance(child, _BatchNorm)
    ]
    return names[-1] if names else None
