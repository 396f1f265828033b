"""What the tests of the classification recipes' documentation read: texts and fragments.

mmpretrain is not needed: its configs are bases of the recipes, not of these fragments.
"""

import copy
import functools
import re
from pathlib import Path

import yaml
from mmengine import Config

CONFIGS = Path(__file__).parent.parent / 'configs'
BASE = CONFIGS / '_base_/classification'
OLD = ('at', 'fitnet', 'ickd', 'kd', 'review_kd', 'tat')  # with recipes for segmentation as well
NEW = ('afd', 'cc', 'crd', 'fsp', 'nst', 'pkt', 'rkd', 'sckd', 'sp')
METHODS = sorted(OLD + NEW)
NETWORKS = ('cifar100', 'imagenet')
FILES = {
    **{
        folder: sorted(
            path.stem for data in NETWORKS for path in (CONFIGS / folder).glob(f'*_{data}.py')
        )
        for folder in METHODS
    },
    **{
        data: sorted(
            path.stem
            for folder in ('students', 'teachers')
            for path in (CONFIGS / folder).glob(f'*_{data}.py')
        )
        for data in NETWORKS
    },
}
TABLE = yaml.safe_load((CONFIGS / 'recipes.yml').read_text())['methods']
STAGES = ('afd', 'at', 'fsp', 'nst', 'review_kd')  # compare all stages of the networks
PAIRS = sorted(path.stem for path in (BASE / 'pairs').glob('*_cifar100.py'))


def network(name: str) -> str:
    """The network's name as the field writes it: 'resnet8x4' is a ResNet-8x4."""
    kind, size = re.fullmatch(r'(resnet|vgg|wrn-)(.+)', name).groups()
    return {'resnet': 'ResNet-', 'vgg': 'VGG-', 'wrn-': 'WRN-'}[kind] + size


def page(folder: str) -> Path:
    """The README of a method, or the page of the networks of a data set."""
    return CONFIGS / (f'students/{folder}.md' if folder in NETWORKS else f'{folder}/README.md')


@functools.cache
def readme(folder: str) -> str:
    return page(folder).read_text()


def section(folder: str, title: str) -> str:
    """As one line."""
    return ' '.join(readme(folder).split(f'\n## {title}\n')[1].split('\n## ')[0].split())


def classification(folder: str, title: str) -> str:
    """A new README's section, an old one's part on classification."""
    return section(folder, title if folder in NEW else 'Classification')


@functools.cache
def fragment(name: str) -> Config:
    return Config.fromfile(BASE / f'methods/{name}.py')


@functools.cache
def method(name: str, pair: str = 'cifar100') -> Config:
    """What a method of recipes.yml sets on pairs of that name; mmpretrain is not needed."""
    name = name.replace('_', '-')  # a folder's is another word for it
    row = TABLE[name]
    but = next((of for key, of in row.get('but', {}).items() if re.search(key, pair)), {})
    own = copy.deepcopy(
        fragment(but.get('fragment', row.get('fragment', name.replace('-', '_'))))._cfg_dict
    )
    exec(but.get('lines', ''), {'_base_': own})
    cfg = Config(dict(method=copy.deepcopy(method(row['over'], pair)) if 'over' in row else {}))
    cfg.merge_from_dict(dict(method=own.method.to_dict()))
    return cfg.method


def losses(name: str, pair: str = 'cifar100') -> dict:
    return method(name, pair).distiller.distill_losses


def one_weight(name: str, pair: str = 'cifar100') -> str:
    """That of all losses, which is the same."""
    (weight,) = {loss.loss_weight for loss in losses(name, pair).values()}
    return f'{weight:g}'


def labels(name: str, pair: str = 'cifar100') -> float:
    """The weight of the cross entropy."""
    return method(name, pair).architecture.head.loss.loss_weight


def recorders(name: str, pair: str = 'cifar100') -> set:
    """What the losses of a method read."""
    found = set()
    for mapping in method(name, pair).distiller.loss_forward_mappings.values():
        for record in mapping.values():
            found |= {record.recorder} if isinstance(record.recorder, str) else {*record.recorder}
    return found
