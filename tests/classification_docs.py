"""What the tests of the classification recipes' documentation read: texts and fragments.

mmpretrain is not needed: its configs are bases of the recipes, not of these fragments.
"""

import functools
import re
from pathlib import Path

from mmengine import Config

CONFIGS = Path(__file__).parent.parent / 'configs'
BASE = CONFIGS / '_base_/classification'
OLD = ('at', 'fitnet', 'ickd', 'kd', 'review_kd', 'tat')  # with recipes for segmentation as well
NEW = ('afd', 'cc', 'crd', 'fsp', 'nst', 'pkt', 'rkd', 'sckd', 'sp')
METHODS = sorted(OLD + NEW)
FOLDERS = [*METHODS, 'cifar100', 'imagenet']
DATA = dict(cifar100='CIFAR-100', imagenet='ImageNet-1k')
FILES = {
    folder: sorted(path.stem for data in DATA for path in (CONFIGS / folder).glob(f'*_{data}.py'))
    for folder in FOLDERS
}
STAGES = ('afd', 'at', 'fsp', 'nst', 'review_kd')  # compare all stages of the networks
PAIRS = sorted(path.stem for path in (BASE / 'pairs').glob('*_cifar100.py'))


def network(name: str) -> str:
    """The network's name as the field writes it: 'resnet8x4' is a ResNet-8x4."""
    kind, size = re.fullmatch(r'(resnet|vgg|wrn-)(.+)', name).groups()
    return {'resnet': 'ResNet-', 'vgg': 'VGG-', 'wrn-': 'WRN-'}[kind] + size


@functools.cache
def readme(folder: str) -> str:
    return (CONFIGS / folder / 'README.md').read_text()


def section(folder: str, title: str) -> str:
    """As one line."""
    return ' '.join(readme(folder).split(f'\n## {title}\n')[1].split('\n## ')[0].split())


def classification(folder: str, title: str) -> str:
    """A new README's section, an old one's part on classification."""
    return section(folder, title if folder in NEW else 'Classification')


@functools.cache
def fragment(name: str) -> Config:
    return Config.fromfile(BASE / f'methods/{name}.py')


def losses(name: str) -> dict:
    return fragment(name).method.distiller.distill_losses


def one_weight(name: str) -> str:
    """That of all losses, which is the same."""
    (weight,) = {loss.loss_weight for loss in losses(name).values()}
    return f'{weight:g}'


def labels(name: str) -> float:
    """The weight of the cross entropy."""
    return fragment(name).method.architecture.head.loss.loss_weight


def recorders(name: str) -> set:
    """What the losses of a fragment read."""
    found = set()
    for mapping in fragment(name).method.distiller.loss_forward_mappings.values():
        for record in mapping.values():
            found |= {record.recorder} if isinstance(record.recorder, str) else {*record.recorder}
    return found
