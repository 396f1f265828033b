"""The fusion of knowledge review: deep student maps flow into the shallower ones."""

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from mmrazor.models.architectures.connectors.base_connector import BaseConnector
from mmrazor.registry import MODELS
from torch import Tensor, nn

_WIDEST = 512


@MODELS.register_module()
class ReviewKDConnector(BaseConnector):
    r"""The student's side of "Distilling Knowledge via Knowledge Review" (Chen et al., CVPR 2021).

    From the deepest level to the shallowest the student's map is reduced to ``mid_channel``
    channels and fused with what comes from the next deeper level, resized to its size (nearest), by
    attention (the paper's ABF): two maps a in (0, 1), one for each, from a 1x1 convolution of both
    and a sigmoid. "Deeper" is later in the network. A 3x3 convolution makes the teacher's width of
    the result. All convolutions are followed by a batch norm but for the attention's.

    .. math:: r_l = a_{l,1} \odot \mathrm{reduce}_l(s_l) + a_{l,2} \odot \mathrm{resize}(r_{l+1}),
        \qquad y_l = \mathrm{expand}_l(r_l)

    Args:
        in_channels: of the student's maps, from the shallowest to the deepest. None:
            :class:`~mmrazor_tat.models.algorithms.FrozenTeacherDistill` reads them.
        out_channels: of the teacher's maps, likewise.
        mid_channel: width of the fused maps. None: that of the student's deepest map, at most 512,
            as the authors have it for classification (256 for ImageNet's MobileNet).
        init_cfg: see mmengine's BaseModule.
    """

    def __init__(
        self,
        in_channels: Optional[Sequence[int]] = None,
        out_channels: Optional[Sequence[int]] = None,
        mid_channel: Optional[int] = 256,
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.mid_channel = mid_channel
        self.reduce = nn.ModuleList()
        self.attention = nn.ModuleList()
        self.expand = nn.ModuleList()
        if in_channels is not None and out_channels is not None:
            self.set_channels(in_channels, out_channels)

    @property
    def has_channels(self) -> bool:
        """Whether the layers have been made."""
        return len(self.reduce) > 0

    @property
    def has_out_channel(self) -> bool:
        """Whether the widths of the results are known."""
        return self.out_channels is not None

    def set_channels(self, in_channels: Sequence[int], out_channels: Sequence[int]) -> None:
        """Make the layers for the channels of the student's and the teacher's maps.

        Raises:
            ValueError: they differ from the ones given, or in number.
        """
        for name, read in (('in_channels', in_channels), ('out_channels', out_channels)):
            given = getattr(self, name)
            if given is not None and list(given) != list(read):
                raise ValueError(
                    f'{name} is {list(given)}, the maps have {list(read)} channels: set '
                    f'{name}={list(read)} or leave it None'
                )
        if len(in_channels) != len(out_channels):
            raise ValueError(
                f'{len(in_channels)} maps of the student and {len(out_channels)} of the teacher: '
                'every level needs both'
            )
        self.in_channels, self.out_channels = list(in_channels), list(out_channels)
        if self.has_channels:
            return
        mid = self.mid_channel or min(in_channels[-1], _WIDEST)
        for level, (c_in, c_out) in enumerate(zip(in_channels, out_channels)):
            self.reduce.append(_conv_norm(c_in, mid, 1))
            is_deepest = level == len(in_channels) - 1
            self.attention.append(nn.Identity() if is_deepest else nn.Conv2d(2 * mid, 2, 1))
            self.expand.append(_conv_norm(mid, c_out, 3))

    def forward_train(self, feature: Sequence[Tensor]) -> list[Tensor]:
        """Fuse the maps of all levels.

        Args:
            feature: from the shallowest to the deepest, (B, in_channels[l], H_l, W_l) each.

        Returns:
            (B, out_channels[l], H_l, W_l) each.
        """
        if not self.has_channels:
            raise RuntimeError(
                'ReviewKDConnector has no channels yet: give in_channels and out_channels, or '
                'build it inside FrozenTeacherDistill, which reads them from the models'
            )
        results, fused = [], None
        for level in reversed(range(len(feature))):
            x = self.reduce[level](feature[level])
            if fused is not None:
                below = F.interpolate(fused, x.shape[2:], mode='nearest')
                a = self.attention[level](torch.cat([x, below], dim=1)).sigmoid()  # (B, 2, H, W)
                x = a[:, :1] * x + a[:, 1:] * below
            fused = x
            results.insert(0, self.expand[level](fused))
        return results


def _conv_norm(in_channel: int, out_channel: int, kernel_size: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channel, out_channel, kernel_size, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_uniform_(conv.weight, a=1)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channel))
