"""The ResNets for images of 32 x 32 (He et al., CVPR 2016, section 4.2)."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmrazor.registry import MODELS
from torch import Tensor, nn

_WIDTHS = (16, 16, 32, 64)
KAIMING = (dict(type='Kaiming', layer='Conv2d'), dict(type='Constant', val=1, layer='_BatchNorm'))


@MODELS.register_module()
class CIFARResNet(BaseModule):
    """A convolution, then three stages of (depth - 2) / 6 basic blocks at 32, 16 and 8 pixels.

    Where width or size changes, the shortcut is a 1 x 1 convolution with batch norm (the paper's
    option B), as in the code of the published distillation results on CIFAR-100. ResNet-8x4 and
    32x4 have ``widths=(32, 64, 128, 256)``.

    Args:
        depth: 6 n + 2: 8, 14, 20, 32, 44, 56, 110.
        widths: channels of the stem and of the three stages.
        out_indices: the stages that ``forward`` gives, of 0, 1, 2.

    Raises:
        ValueError: a depth that is not 6 n + 2, or not four widths.
    """

    def __init__(
        self,
        depth: int,
        widths: Sequence[int] = _WIDTHS,
        out_indices: Sequence[int] = (2,),
        init_cfg: Sequence[dict] = KAIMING,
    ) -> None:
        super().__init__(init_cfg=[dict(cfg) for cfg in init_cfg] if init_cfg else None)
        if not isinstance(depth, int) or depth < 8 or (depth - 2) % 6:
            raise ValueError(f'depth must be 6 n + 2 (8, 20, 32, 56, 110, ...), got {depth!r}')
        if len(widths) != 4:
            raise ValueError(f'widths must be of the stem and of three stages, got {widths!r}')
        self.depth = depth
        self.out_indices = tuple(out_indices)
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        blocks = (depth - 2) // 6
        for k, (before, width) in enumerate(zip(widths, widths[1:])):
            stage = [_BasicBlock(before, width, stride=1 if k == 0 else 2)]
            stage += [_BasicBlock(width, width) for _ in range(1, blocks)]
            self.add_module(f'layer{k + 1}', nn.Sequential(*stage))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> the stages of ``out_indices``: (B, C_k, H / 2^k, W / 2^k)."""
        x = self.relu(self.bn1(self.conv1(x)))
        stages = []
        for k in range(3):
            x = getattr(self, f'layer{k + 1}')(x)
            stages.append(x)
        return tuple(stages[k] for k in self.out_indices)


class _BasicBlock(nn.Module):
    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Identity()
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
        # Of its own: what it takes is the block's result before the activation.
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu(out + self.downsample(x))
