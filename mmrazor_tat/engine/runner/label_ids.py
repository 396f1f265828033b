"""Which ids of pixels the losses of a segmentor can take: they are tried, on the CPU."""

import copy
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Optional

import torch
from mmengine.structures import PixelData
from torch import nn

_HEADS = ('decode_head', 'auxiliary_head')
_SIDE = 4


def refused_ids(network: nn.Module, ids: Collection[int]) -> dict[int, str]:
    """Ids that a loss of the network cannot take, with the head and what the loss says.

    mmseg's cross entropy takes the classes and its head's ``ignore_index`` alone: anything else is
    an index out of bounds, on a GPU an assert of the device.

    Args:
        network: mmseg's, or one whose heads have its ``loss_by_feat``; heads whose losses take
            more than logits and labels are left out. It is not changed.
        ids: to be tried.
    """
    refused: dict[int, str] = {}
    for name, head in _heads(network):
        for index, words in refused_by_head(head, ids).items():
            width, ignored = head.out_channels, getattr(head, 'ignore_index', None)
            hint = ' (one channel needs loss_decode.use_sigmoid=True)' if width == 1 else ''
            refused.setdefault(
                index,
                f'the loss of {name} cannot take it ({words}); the head has out_channels={width}'
                f'{hint} and ignore_index={ignored}',
            )
    return refused


def check_class_weights(network: nn.Module) -> None:
    """Raise ValueError for a cross entropy with another number of weights than its head has ids."""
    for name, head in _heads(network):
        for loss in [m for m in head.modules() if type(m).__name__ == 'CrossEntropyLoss']:
            weights, width = (
                getattr(loss, 'class_weight', None),
                getattr(head, 'out_channels', None),
            )
            is_of_classes = getattr(head, 'loss_decode', None) is loss and not loss.use_sigmoid
            if weights is not None and is_of_classes and len(weights) != width:
                raise ValueError(
                    f'{name}.loss_decode.class_weight has {len(weights)} entries, and the head has '
                    f'out_channels={width}: one for each class'
                )


@torch.random.fork_rng(devices=[])
@torch.no_grad()
def takes(head: nn.Module, ids: Collection[int]) -> bool:
    """Whether the loss of a head takes labels of these ids, where it can be tried."""
    head = _to_try(head)
    return head is not None and _words(head, [0, *ids]) is None


@torch.random.fork_rng(devices=[])
@torch.no_grad()
def refused_by_head(head: nn.Module, ids: Collection[int]) -> dict[int, str]:
    """As :func:`refused_ids` for one head, with the words of the error alone."""
    head = _to_try(head)
    # Not alone: a binary cross entropy looks for the largest id that is not ignored.
    if head is None or _words(head, [0, *ids]) is None:
        return {}
    return {index: words for index in ids if (words := _words(head, [0, index])) is not None}


def _to_try(head: nn.Module) -> Optional[nn.Module]:
    """A copy of a head whose loss takes logits and labels alone, as mmseg's do; None of others."""
    if not hasattr(head, 'loss_by_feat') or not isinstance(
        getattr(head, 'out_channels', None), int
    ):
        return None
    head = copy.deepcopy(head).cpu()
    return head if _words(head, [0]) is None else None


def _heads(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name in _HEADS:
        heads = getattr(network, name, None)
        if isinstance(heads, nn.ModuleList):
            yield from ((f'{name}[{k}]', head) for k, head in enumerate(heads))
        elif heads is not None:
            yield name, heads


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
    """Which classes the labels of the first images hold, and how much of them is ignored.

    Args:
        classes: their names.
        images: after so many it is complete.
    """

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
        total = int(self.pixels.sum())
        ignored = 100 * (1 - int(self.pixels[: len(self.classes)].sum()) / max(total, 1))
        missing, shown = self.missing, ', '.join(map(repr, self.missing[:10]))
        count = len(self.classes)
        more = f' and {len(missing) - 10} more' if len(missing) > 10 else ''
        text = (
            f'the labels of {self.seen} training samples hold {count - len(missing)} of {count} '
            f'classes, and {ignored:.1f} % of their pixels are ignored'
        )
        return text + (f'; in none of them: {shown}{more}' if missing else '')
