"""Every recipe for classification trains for two iterations and validates, through the Runner: the
networks in full, on drawn images (CIFAR-100) and on a few of 64 x 64 in a folder (ImageNet).
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, save_checkpoint
from PIL import Image

from mmrazor_tat.utils.config_settings import set_data_root

pytestmark = pytest.mark.mmpretrain

REPO = Path(__file__).parent.parent
CONFIGS = sorted(
    path.relative_to(REPO / 'configs')
    for pattern in ('*/*_cifar100.py', '*/*_imagenet.py', 'small/*cifar*/*.py')
    for path in (REPO / 'configs').glob(pattern)
    if path.parts[-2] != '_base_' and path.name != 'pair.py'
)
SIDE = 64  # of the images in place of ImageNet's 224: a last map of 2 x 2
IMAGES = 6
BATCH = 3  # RKD compares distances and angles: of two images both are equal in any network
_NUMBERS = itertools.count()


def test_all_are_here():
    """15 methods and TaT with KL on 7 pairs but for one of FSP, 14 on ImageNet, 12 networks, and
    18 students, one plain, and the teacher of the pair for a CPU; 9, 1 and 1 on photographs."""
    assert len(CONFIGS) == (16 * 7 - 1) + 14 + 12 + 20 + 11


CLASSES = dict(hundred=100, fifty=50, twenty=20)  # of the folders of images, one for each


@pytest.fixture
def quick_start(monkeypatch):
    """mmengine looks at every parameter anew for each layer that it initializes: of a ResNet-110
    that takes longer than the training here, so only the plain networks are initialized so."""
    monkeypatch.setattr(Runner, '_init_model_weights', lambda runner: None)


@pytest.fixture(scope='module')
def roots(tmp_path_factory) -> dict[str, Path]:
    imagenet = tmp_path_factory.mktemp('imagenet')
    rng = np.random.default_rng(0)
    for split, count in (('train', IMAGES), ('val', 2)):
        (imagenet / split).mkdir()
        for k in range(count):
            pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(imagenet / split / f'{k}.png')
        lines = (f'{k}.png {k % 2}\n' for k in range(count))
        (imagenet / f'{split}.txt').write_text(''.join(lines))
    return dict(
        imagenet=imagenet, **{n: folders(tmp_path_factory.mktemp(n), c) for n, c in CLASSES.items()}
    )


def folders(root: Path, classes: int) -> Path:
    """An image for each class and split."""
    rng = np.random.default_rng(0)
    for split in ('train', 'test'):
        for k in range(classes):
            (root / split / f'class{k:02}').mkdir(parents=True)
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / split / f'class{k:02}/{k}.png')
    return root


@pytest.fixture(scope='module')
def teachers(tmp_path_factory):
    """Random weights of a teacher, saved once for all of its recipes."""
    folder, files = tmp_path_factory.mktemp('teachers'), {}

    def file(config: dict) -> str:
        key = str(config)
        if key not in files:
            files[key] = str(folder / f'{len(files)}.pth')
            save_checkpoint(dict(state_dict=MODELS.build(config).state_dict()), files[key])
        return files[key]

    return file


def small(path: Path, roots: dict[str, Path], work_dir: Path, on_folders) -> Config:
    cfg = Config.fromfile(REPO / 'configs' / path)
    is_cifar = 'imagenet' not in path.name
    cfg.work_dir, cfg.log_level = str(work_dir), 'ERROR'
    cfg.experiment_name = cfg.visualizer.name = f'{path.stem}_{next(_NUMBERS)}'
    cfg.randomness = dict(seed=0)
    data = {'cifar_small': 'fifty', 'demo_cifar': 'twenty'}.get(path.parent.name, 'hundred')
    if is_cifar:
        on_folders(cfg, roots[data])
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.dataset.indices = IMAGES
    else:
        set_data_root(cfg, roots['imagenet'])
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=BATCH)
        if not is_cifar:
            loader.dataset.ann_file = f'{loader.dataset.split}.txt'
            loader.dataset.pipeline[1].scale = SIDE
            if loader.dataset.pipeline[2].type == 'CenterCrop':
                loader.dataset.pipeline[2].crop_size = SIDE
    if cfg.train_cfg.by_epoch:
        cfg.train_cfg.max_epochs = 1
    else:
        cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False, save_best=None)
    if 'teacher' in cfg.model:
        if not is_cifar:
            cfg.model.probe_size = (SIDE, SIDE)
        if 'teacher_check' in cfg.default_hooks:
            cfg.default_hooks.teacher_check.floor = None  # random weights
        if 'loss_crd' in cfg.model.distiller.distill_losses:
            cfg.model.distiller.distill_losses.loss_crd.update(num_samples=IMAGES, num_negatives=64)
    return cfg


def in_every_run(path: Path) -> bool:
    """A method's recipes on CIFAR-100 differ in the pair alone: two of the seven, all of TaT's.
    Those on photographs are those on drawn images with other data: one of them."""
    if path.parent.name == 'cifar_small':
        return path.stem == 'crd_student'
    of_pair = any(pair in path.stem for pair in ('wrn-40-2_wrn-16-2', 'vgg13'))
    return of_pair or path.parts[0] == 'tat' or not path.stem.endswith('_cifar100')


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(
            path,
            marks=() if in_every_run(path) else pytest.mark.slow,
            id=f'{path.parent.name}/{path.stem}',
        )
        for path in CONFIGS
    ],
)
def test_trains_and_validates(path, roots, tmp_path, teachers, two_iterations, request, on_folders):
    init_default_scope('mmpretrain')
    cfg = small(path, roots, tmp_path / 'run', on_folders)
    if 'teacher' in cfg.model:
        request.getfixturevalue('quick_start')
        cfg.model.teacher_ckpt = teachers(cfg.model.teacher)
    training, lines, before, changed = two_iterations(cfg)
    assert len(training) == 2 and all(0 < line['loss'] < 1e5 for line in training)
    (validation,) = (line for line in lines if 'accuracy/top1' in line)
    assert 0 <= validation['accuracy/top1'] <= 100
    assert any(k.endswith('head.fc.weight') for k in changed)
    assert not any(k.startswith('teacher.') for k in changed)
    if 'teacher' not in cfg.model:
        return
    assert ('teacher/accuracy/top1' in validation) == (path.parts[0] != 'small')
    losses = cfg.model.distiller.distill_losses
    for name in losses:
        # SCKD may be switched off by its gate; the others are at work.
        values = [line[f'distill.{name}'] for line in training]
        assert all(value >= 0 if name == 'loss_sckd' else value > 0 for value in values), name
    learnt = [k for k in before if k.startswith('distiller.') and k.endswith('conv.weight')]
    assert set(learnt) <= changed
