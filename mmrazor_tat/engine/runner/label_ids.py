"""Which ids of pixels the losses of a segmentor can take: they are tried, on the CPU."""

import copy
from collections.abc import Collection, Sequence
from typing import Any, Optional

import torch
from mmengine.structures import PixelData
from torch import nn

from ...utils.config_settings import dicts_of

_SIDE = 4


def ignored_ids(parts: dict) -> set[int]:
    """The ``ignore_index`` of any part of a network or an evaluator."""
    found = (node.get('ignore_index') for _, node in dicts_of(parts))
    return {value for value in found if isinstance(value, int)}


def refused_ids(network: nn.Module, ids: Collection[int]) -> dict[int, str]:
    """Of ``ids`` those that a loss of the network cannot take, with the head and what it says.

    mmseg's cross entropy takes the classes and its head's ``ignore_index`` alone: anything else is
    an index out of bounds, on a GPU an assert of the device. Heads whose losses take more than
    logits and labels are left out.
    """
    refused: dict[int, str] = {}
    for part in ('decode_head', 'auxiliary_head'):
        heads = getattr(network, part, None)
        several = isinstance(heads, nn.ModuleList)
        for k, head in enumerate(heads if several else [heads]):
            for index, words in (refused_by_head(head, ids) or {}).items():
                width, ignored = head.out_channels, getattr(head, 'ignore_index', None)
                hint = ' (one channel needs loss_decode.use_sigmoid=True)' if width == 1 else ''
                name = f'{part}[{k}]' if several else part
                refused.setdefault(
                    index,
                    f'the loss of {name} cannot take it ({words}); the head has out_channels='
                    f'{width}{hint} and ignore_index={ignored}',
                )
    return refused


@torch.random.fork_rng(devices=[])
@torch.no_grad()
def refused_by_head(head: nn.Module, ids: Collection[int]) -> Optional[dict[int, str]]:
    """As :func:`refused_ids` for one head, with the words of the error alone.

    None where it cannot be tried: its loss takes more than logits and labels.
    """
    is_known = hasattr(head, 'loss_by_feat') and isinstance(getattr(head, 'out_channels', 0), int)
    head = copy.deepcopy(head).cpu() if is_known else None
    if head is None or _words(head, [0]) is not None:
        return None
    # Not alone: a binary cross entropy looks for the largest id that is not ignored.
    if _words(head, [0, *ids]) is None:
        return {}
    return {index: words for index in ids if (words := _words(head, [0, index])) is not None}


def _words(head: nn.Module, ids: Collection[int]) -> Optional[str]:
    """What the head's loss raises for labels of these ids; None: it takes them."""
    from mmseg.structures import SegDataSample

    label = torch.tensor([*ids])[:, None].expand(-1, _SIDE).repeat_interleave(_SIDE, 0)
    logits = torch.zeros(1, head.out_channels, *label.shape)
    sample = SegDataSample(gt_sem_seg=PixelData(data=label[None]))
    try:
        head.loss_by_feat(logits, [sample])
    except Exception as error:  # whatever a loss raises
        return f'{type(error).__name__}: {" ".join(str(error).split())[:120]}'
    return None


class LabelCount:
    """Which classes the labels of the first images hold, and how much of them is ignored."""

    def __init__(self, classes: Sequence[str], images: int = 100) -> None:
        self.classes = list(classes)
        self.left, self.seen = images, 0
        self.pixels = torch.zeros(256, dtype=torch.int64)

    def add(self, data_samples: Sequence[Any]) -> None:
        """Count the labels of a batch, as the data loader gives them."""
        for sample in data_samples:
            label = getattr(getattr(sample, 'gt_sem_seg', None), 'data', None)
            if self.left > 0 and isinstance(label, torch.Tensor):
                ids = label.flatten().clamp(0, 255).to(torch.int64)
                self.pixels += torch.bincount(ids, minlength=256)
                self.left, self.seen = self.left - 1, self.seen + 1

    @property
    def missing(self) -> list[str]:
        """The classes that no label holds."""
        return [name for name, n in zip(self.classes, self.pixels.tolist()) if n == 0]

    @property
    def is_odd(self) -> bool:
        """Whether so few classes are there that the labels seem to be of another kind."""
        is_enough = self.left == 0 or self.seen >= 4 * len(self.classes)
        return is_enough and 2 * len(self.missing) >= len(self.classes)

    def __str__(self) -> str:
        count, missing = len(self.classes), self.missing
        ignored = 1 - int(self.pixels[:count].sum()) / max(int(self.pixels.sum()), 1)
        more = f' and {len(missing) - 10} more' if len(missing) > 10 else ''
        named = f'; in none of them: {", ".join(map(repr, missing[:10]))}{more}' if missing else ''
        return (
            f'the labels of {self.seen} training samples hold {count - len(missing)} of {count} '
            f'classes, and {100 * ignored:.1f} % of their pixels are ignored{named}'
        )
