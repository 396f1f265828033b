"""VGG networks for images of 32 x 32 (Simonyan and Zisserman, ICLR 2015, with batch norm)."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmrazor.registry import MODELS
from torch import Tensor, nn

from .cifar_resnet import KAIMING

_CONVOLUTIONS = {8: 1, 13: 2}  # in each of the five blocks
_WIDTHS = (64, 128, 256, 512, 512)


@MODELS.register_module()
class CIFARVGG(BaseModule):
    """Five blocks of 3 x 3 convolutions, at 32, 16, 8, 4 and 4 pixels.

    As in the code that the published distillation results of VGG-8 and VGG-13 on CIFAR-100 come
    from: a 2 x 2 max pooling after each of the first three blocks, none between the last two, and
    one linear layer on the mean of the last map (mmpretrain's neck and head).

    Args:
        depth: 8 (a convolution a block) or 13 (two).
        out_indices: the blocks that ``forward`` gives, of 0 to 4.

    Raises:
        ValueError: another depth.
    """

    def __init__(
        self,
        depth: int,
        out_indices: Sequence[int] = (4,),
        init_cfg: Sequence[dict] = KAIMING,
    ) -> None:
        super().__init__(init_cfg=[dict(cfg) for cfg in init_cfg] if init_cfg else None)
        if depth not in _CONVOLUTIONS:
            raise ValueError(f'depth must be one of {tuple(_CONVOLUTIONS)}, got {depth!r}')
        self.depth = depth
        self.out_indices = tuple(out_indices)
        self.pool = nn.MaxPool2d(2)
        for k, (before, width) in enumerate(zip((3, *_WIDTHS), _WIDTHS)):
            layers: list[nn.Module] = []
            for _ in range(_CONVOLUTIONS[depth]):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                before = width
            self.add_module(f'block{k + 1}', nn.Sequential(*layers))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> the blocks of ``out_indices``, the last (B, 512, H / 8, W / 8)."""
        blocks = []
        for k in range(5):
            x = getattr(self, f'block{k + 1}')(x if k in (0, 4) else self.pool(x))
            blocks.append(x)
        return tuple(blocks[k] for k in self.out_indices)
