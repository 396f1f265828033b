"""The learnable projections gamma, phi and theta of TaT, and those of other methods."""

from typing import Optional

import torch
from mmcv.cnn import build_norm_layer
from mmrazor.models.architectures.connectors.base_connector import BaseConnector
from mmrazor.registry import MODELS
from torch import Tensor, nn

from ...functional import full_precision


@MODELS.register_module()
class TaTConnector(BaseConnector):
    """A convolution without bias, then a norm.

    The default norm works per image, as the released code effectively does (it runs one sample at
    a time): the loss then does not depend on how a batch is split over processes. The ImageNet
    settings use ``kernel_size=3`` and ``norm_cfg=dict(type='BN')``.

    With ``norm_cfg=None`` it is the regressor of FitNet, with a batch norm the one of Overhaul and
    ICKD.

    Args:
        in_channel, out_channel: channels of the record and of the result. None:
            :class:`FrozenTeacherDistill` reads them from the models; the result has the width of
            the teacher's record in the losses that use this connector.
        kernel_size: odd; the map keeps its size.
        norm_cfg: an mmcv norm config, or None for no norm.
        init_cfg: see mmengine's BaseModule.
    """

    def __init__(
        self,
        in_channel: Optional[int] = None,
        out_channel: Optional[int] = None,
        kernel_size: int = 1,
        norm_cfg: Optional[dict] = dict(type='IN', affine=True),  # noqa: B006, B008 (read only)
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(kernel_size, int) or kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f'kernel_size must be a positive odd integer, got {kernel_size!r}')
        self.in_channel = in_channel
        self.out_channel = out_channel
        self._out_is_given = out_channel is not None
        self.kernel_size = kernel_size
        self.norm_cfg = norm_cfg
        self.conv: Optional[nn.Module] = None
        self.norm: Optional[nn.Module] = None
        if in_channel is not None and out_channel is not None:
            self.set_channels(in_channel, out_channel)

    @property
    def has_channels(self) -> bool:
        """Whether the layers have been made."""
        return self.conv is not None

    @property
    def has_out_channel(self) -> bool:
        """Whether the width of the result is known."""
        return self.out_channel is not None

    def set_channels(self, in_channel: int, out_channel: int) -> None:
        """Make the layers for the channels that were left None; those given stay as they are.

        Raises:
            ValueError: the record's channels differ from the ones given, or from an earlier call.
        """
        if self.in_channel not in (None, in_channel):
            raise ValueError(
                f'in_channel is {self.in_channel}, the record has {in_channel} channels: '
                f'set in_channel={in_channel} or leave it None'
            )
        self.in_channel = in_channel
        if self.conv is not None:
            if not self._out_is_given and out_channel != self.out_channel:
                raise ValueError(
                    f'losses with teachers of {self.out_channel} and of {out_channel} channels '
                    'share this connector: give each a connector of its own'
                )
            return
        self.out_channel = out_channel if self.out_channel is None else self.out_channel
        k, channels = self.kernel_size, (self.in_channel, self.out_channel)
        self.conv = nn.Conv2d(*channels, k, padding=k // 2, bias=False)
        self.norm = nn.Identity()
        if self.norm_cfg is not None:
            self.norm = build_norm_layer(self.norm_cfg, self.out_channel)[1]

    def forward_train(self, feature: Tensor) -> Tensor:
        """Project a map: (B, in_channel, H, W) -> (B, out_channel, H, W), in float32 at least."""
        if self.conv is None:
            raise RuntimeError(
                'TaTConnector has no channels yet: give in_channel and out_channel, or build it '
                'inside FrozenTeacherDistill, which reads them from the models'
            )
        # The softmax that follows is nearly one-hot: half-precision keys would cost a tenth of
        # the gradient, so autocast stops here.
        with full_precision(feature):
            dtype = torch.promote_types(self.conv.weight.dtype, feature.dtype)
            feature = self.norm(self.conv(feature.to(dtype)))
        if feature.requires_grad:
            # batch_norm's backward on the CPU (instance norm runs on it) is silently wrong for a
            # batch of one when the gradient has channels-last strides, as token views give it.
            feature.register_hook(torch.Tensor.contiguous)
        return feature
