"""What is in the maps that the losses read?"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .scores import NotCheckedError
from .subject import Finding, Subject

_FEWEST = 16  # images of a regression
_WIDTH = 64  # channels that a map is projected to for the regression
_ORIENTATIONS = {
    'as it is': lambda x: x,
    'left and right exchanged': lambda x: x.flip(-1),
    'upside down': lambda x: x.flip(-2),
    'rows and columns exchanged': lambda x: x.transpose(-1, -2),
}


def check_alive(subject: Subject) -> Iterator[Finding]:
    """Do the maps change, from channel to channel and from image to image?"""
    for key, maps in _by_record(subject).items():
        x = torch.cat([of.flatten(2) if of.dim() > 2 else of[..., None] for of in maps]).double()
        finite = x.isfinite().all().item()
        spread = x.transpose(0, 1).flatten(1).std(1)  # by channel
        dead = (spread <= 1e-6 * (1e-6 + x.abs().max())).double().mean().item()
        within = (x - x.mean(0)).square().mean()
        share = (within / x.var(dim=(0, 2), unbiased=False).mean().clamp(min=1e-30)).item()
        where = subject.source(key)
        subject.measured.setdefault('maps', {})[where] = {
            'channels that never change': dead,
            'variance between images': share,
        }
        check = 'read another module: --cfg-options model.distiller.{}_recorders.{}.source=MODULE '
        check += '(tools/inspect_features.py lists them)'
        remedy = check.format('student' if key[1] else 'teacher', key[0])
        if not finite:
            yield Finding(
                f'{where} is not finite',
                'NaN or infinity in the map',
                'finite numbers',
                'check the weights of the network',
            )
        elif dead > 0.5:
            yield Finding(
                f'{where} is mostly dead',
                f'{dead:.0%} of its channels never change over {len(x)} images',
                'few or none',
                remedy,
                {'never change': 100 * dead, 'change': 100 - 100 * dead},
            )
        elif len(x) > 1 and share < 1e-3:
            yield Finding(
                f'{where} is the same for every image',
                f'{share:.2%} of its variance lies between images',
                'most of it',
                remedy,
            )


def check_alignment(subject: Subject) -> Iterator[Finding]:
    """Do the positions of the maps lie where those of the image lie?"""
    found = False
    for key, maps in _by_record(subject).items():
        if maps[0].dim() != 4 or min(maps[0].shape[-2:]) < 4 or sum(map(len, maps)) < _FEWEST:
            continue
        found = True
        fits = {}
        for name, turn in _ORIENTATIONS.items():
            turned = [turn(x) for x in maps]
            if turned[0].shape == maps[0].shape:
                fits[name] = _explained(turned, subject.images)
        where = subject.source(key)
        subject.measured.setdefault('alignment', {})[where] = fits
        best = max(fits, key=fits.get)
        if fits[best] > max(0.3, 2 * fits['as it is']):
            yield Finding(
                f'{where} lies on the image {best}',
                f'it explains {max(fits["as it is"], 0):.0%} of the image as it is, '
                f'{fits[best]:.0%} {best}',
                'most as it is',
                "the module's output has to be laid out as the image (of tokens: height and width "
                'of the recorder)',
                {name: 100 * max(value, 0) for name, value in fits.items()},
            )
    if not found:
        raise NotCheckedError(f'maps of at least 4 x 4 positions, of {_FEWEST} images')


def _explained(maps: list[Tensor], images: list[Tensor]) -> float:
    """R2 on the last third of the images, by a ridge regression on the channels, of what they
    explain best: a colour, or how much it changes along the rows or columns."""
    size = maps[0].shape[-2:]
    x, y = (
        torch.cat(of).permute(0, 2, 3, 1).flatten(1, 2).double()
        for of in (maps, [F.adaptive_avg_pool2d(_described(image), size) for image in images])
    )
    if x.shape[-1] > _WIDTH:
        generator = torch.Generator().manual_seed(0)
        x = x @ torch.randn(x.shape[-1], _WIDTH, generator=generator, dtype=x.dtype).to(x)
    x, y = ((of - of.mean((0, 1))) / of.std((0, 1)).clamp(min=1e-12) for of in (x, y))
    split = len(x) * 2 // 3
    a, b, rest, target = (of.flatten(0, 1) for of in (x[:split], y[:split], x[split:], y[split:]))
    ridge = 1e-3 * len(a) * torch.eye(a.shape[1], dtype=a.dtype, device=a.device)
    wrong = target - rest @ torch.linalg.solve(a.T @ a + ridge, a.T @ b)
    return (1 - wrong.square().sum(0) / target.square().sum(0)).max().item()


def _described(image: Tensor) -> Tensor:
    grey = F.pad(image.mean(1, keepdim=True), (0, 1, 0, 1), mode='replicate')
    across, down = grey[..., :-1, 1:], grey[..., 1:, :-1]
    return torch.cat([image, *((x - grey[..., :-1, :-1]).abs() for x in (across, down))], 1)


def _by_record(subject: Subject) -> dict[tuple, list[Tensor]]:
    """The floating tensors of all batches of one shape, by record."""
    first = subject.maps[0]
    keys = [key for key, x in first.items() if x.is_floating_point() and x.dim() >= 2]
    return {key: [maps[key] for maps in subject.maps if key in maps] for key in keys}
