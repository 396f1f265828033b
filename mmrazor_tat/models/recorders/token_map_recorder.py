"""The tokens of a transformer as a map."""

import math
from collections.abc import Sequence
from typing import Any, Optional

from mmrazor.models.task_modules.recorder import ModuleOutputsRecorder
from mmrazor.registry import TASK_UTILS
from torch import Tensor, nn

# What may stand before the tokens of the image: a class token, a second one, four registers.
_PREFIX_TOKENS = (0, 1, 2, 5)


@TASK_UTILS.register_module()
class TokenMapRecorder(ModuleOutputsRecorder):
    """Record tokens (B, N, C), row by row of the image, as a map (B, C, H, W).

    In a config: ``dict(type='TokenMap', source='backbone.layers.11.ln2')``. The map has as many
    positions as there are tokens, in the proportions of the image; tokens before them (a class
    token) are left out. What is a map already stays as it is.

    Args:
        source: name of a module that gives tokens.
        size: (H, W) of the map. None: from the number of tokens and the proportions of the input.
        prefix_tokens: how many tokens precede those of the image. None: 0, 1, 2 or 5, that with
            which the rest fills a map nearest to the proportions of the input.
    """

    def __init__(
        self,
        source: str,
        size: Optional[Sequence[int]] = None,
        prefix_tokens: Optional[int] = None,
    ) -> None:
        super().__init__(source)
        self.size, self.prefix_tokens = size, prefix_tokens
        self._image_size: Optional[tuple[int, int]] = None

    def prepare_from_model(self, model: Optional[nn.Module] = None) -> None:
        super().prepare_from_model(model)
        model.register_forward_pre_hook(self._note_image_size, with_kwargs=True)

    def _note_image_size(self, _: nn.Module, args: tuple, kwargs: dict) -> None:
        for x in (*args, *kwargs.values()):
            if isinstance(x, Tensor) and x.dim() == 4:
                self._image_size = tuple(x.shape[2:])
                return

    def get_record_data(self, record_idx: int = 0, data_idx: Optional[int] = None) -> Any:
        data = super().get_record_data(record_idx, data_idx)
        if not isinstance(data, Tensor) or data.dim() != 3:
            return data
        try:
            height, width, prefix = map_size(
                data.shape[1], self._image_size, self.size, self.prefix_tokens
            )
        except ValueError as error:
            raise ValueError(f'recorder of {self.source!r}: {error}') from error
        return data[:, prefix:].transpose(1, 2).unflatten(2, (height, width))


def map_size(
    tokens: int,
    image_size: Optional[Sequence[int]],
    size: Optional[Sequence[int]] = None,
    prefix_tokens: Optional[int] = None,
) -> tuple[int, int, int]:
    """(H, W, tokens before the image's) of the map that N tokens of an image (height, width) make;
    ValueError where they fill none."""
    found = []
    for prefix in _PREFIX_TOKENS if prefix_tokens is None else (prefix_tokens,):
        count = tokens - prefix
        if size is not None and size[0] * size[1] == count:
            return size[0], size[1], prefix
        if count < 1 or size is not None or image_size is None:
            continue
        # The divisor pair of N nearest to the image's proportions, if it has about those.
        stride = math.sqrt(image_size[0] * image_size[1] / count)
        heights = [h for h in range(1, count + 1) if count % h == 0]
        height = min(heights, key=lambda h: abs(math.log(h * stride / image_size[0])))
        width = count // height
        # Both sides may be rounded up to whole patches.
        if abs(height - image_size[0] / stride) < 1 and abs(width - image_size[1] / stride) < 1:
            off = abs(math.log(height * image_size[1] / (width * image_size[0])))
            found.append((round(off, 6), prefix, height, width))
    if found:
        _, prefix, height, width = min(found)
        return height, width, prefix
    given = f'size {tuple(size)}' if size else f'an image of {image_size}'
    raise ValueError(
        f'{tokens} tokens make no map for {given}'
        + (f' after {prefix_tokens} others' if prefix_tokens else '')
        + ': set size=(H, W), and prefix_tokens if others precede them'
    )
