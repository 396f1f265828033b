"""Every recipe for segmentation trains for two iterations and validates, through the Runner, on
generated images.

Widths, crop and the grids that go with it are reduced, the teacher is a ResNet-50
(test_configs.py builds all in full).
"""

import shutil
from pathlib import Path

import pytest
from mmengine import Config
from toy_coco_stuff import write_toy_coco_stuff

from mmrazor_tat.datasets.toy_scenes import write_toy_voc
from mmrazor_tat.engine import set_crop_size

REPO = Path(__file__).parent.parent
METHODS = ('at', 'cwd', 'fitnet', 'ickd', 'kd', 'ofd', 'review_kd', 'tat')
PLAIN = ('students', 'teachers')
CONFIGS = sorted(
    path.relative_to(REPO / 'configs')
    for folder in METHODS + PLAIN
    for path in (REPO / 'configs' / folder).glob('*.py')
    if not path.stem.endswith(('_cifar100', '_imagenet'))
)
CROP = 64
WIDTH = 8


@pytest.fixture(scope='module')
def roots(tmp_path_factory) -> dict[str, Path]:
    """Generated scenes in the layouts of VOC12aug and of COCO-Stuff10k."""
    voc = write_toy_voc(tmp_path_factory.mktemp('voc'), num_train=4, num_val=1, size=(64, 80))
    shutil.copytree(voc / 'SegmentationClass', voc / 'SegmentationClassAug')
    lists = voc / 'ImageSets/Segmentation'
    shutil.copy(lists / 'train.txt', lists / 'aug.txt')
    coco = write_toy_coco_stuff(voc, tmp_path_factory.mktemp('coco'))
    return {'voc12aug': voc, 'coco-stuff10k': coco}


def shrink(model: dict) -> None:
    """A segmentor with few channels."""
    model.pretrained = None
    backbone, head, aux = model.backbone, model.decode_head, model.get('auxiliary_head')
    if backbone.type == 'MobileNetV2':
        backbone.widen_factor = 0.25
        widths = {320: 80, 96: 24, 24: 8}
    else:
        backbone.update(base_channels=WIDTH, stem_channels=WIDTH)
        widths = {k * 64: k * WIDTH for k in (1, 2, 4, 8, 16, 32)}
    for part in (head, aux):
        if part is not None:
            part.update(in_channels=widths[part.in_channels], channels=part.channels // 16)
    if 'c1_in_channels' in head:
        head.update(c1_in_channels=widths[head.c1_in_channels], c1_channels=4)


def small(path: Path, roots: dict[str, Path], work_dir: Path) -> Config:
    cfg = Config.fromfile(REPO / 'configs' / path)
    (root,) = (root for name, root in roots.items() if name in path.name)
    cfg.work_dir, cfg.experiment_name, cfg.log_level = str(work_dir), path.stem, 'ERROR'
    cfg.visualizer.name = path.stem
    cfg.randomness = dict(seed=0)
    set_crop_size(cfg, (CROP, CROP))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        for dataset in loader.dataset.get('datasets', [loader.dataset]):
            dataset.data_root = str(root)
    cfg.train_dataloader.batch_size = 2
    cfg.val_dataloader.dataset.pipeline[1].scale = (CROP, CROP)
    for hook in (hook for hook in cfg.default_hooks.values() if 'pipeline' in hook):
        hook.pipeline[2].scale = (CROP + 1, CROP + 1)
    if cfg.train_cfg.type == 'EpochBasedTrainLoop':
        cfg.train_cfg.max_epochs = 1
        train = cfg.train_dataloader.dataset
        for dataset in train.get('datasets', [train]):
            dataset.indices = 2 if 'voc' in path.name else 4
    else:
        cfg.train_cfg.update(max_iters=2, val_interval=2)
    if 'teacher_check' in cfg.default_hooks:
        cfg.default_hooks.teacher_check.floor = None  # random weights
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False, save_best=None)
    if 'teacher' not in cfg.model:
        shrink(cfg.model)
        return cfg
    shrink(cfg.model.architecture)
    shrink(cfg.model.teacher)
    cfg.model.teacher.backbone.depth = 50
    cfg.model.distiller.teacher_recorders.stage3.source = 'backbone.layer3.5.relu'
    losses = cfg.model.distiller.distill_losses
    for view in losses.get('loss_tat', {}).get('views', ()):
        if view.type == 'patch':
            p = view.grid[0] * view.grid[1] // view.groups  # the patches of a group are kept
            view.update(grid=(4, 4), groups=16 // p)
        elif view.type == 'anchor':
            view.kernel = 2
    if 'loss_ickd' in losses:
        losses.loss_ickd.grid = (2, 2)
    return cfg


def in_every_run(path: Path) -> bool:
    """Of TaT all, of the others and of its other forms two of the four pairs on VOC, which have
    each head and each student; on COCO-Stuff they differ in the data alone."""
    if path.parts[0] in PLAIN or path.name.startswith('tat_'):
        return True
    is_of_two_pairs = ('deeplabv3plus_' in path.name) == ('_mobilenet-v2-' in path.name)
    return is_of_two_pairs and 'coco-stuff10k' not in path.name


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(p, marks=() if in_every_run(p) else pytest.mark.slow, id=p.stem)
        for p in CONFIGS
    ],
)
def test_trains_and_validates(path, roots, tmp_path, save_weights, two_iterations):
    cfg = small(path, roots, tmp_path / 'run')
    if 'teacher' in cfg.model:
        cfg.model.teacher_ckpt = save_weights(cfg.model.teacher)
    training, lines, before, changed = two_iterations(cfg)
    assert len(training) == 2 and all(0 < line['loss'] < 1e3 for line in training)
    (validation,) = (line for line in lines if 'mIoU' in line)
    assert ('squashed/mIoU' in validation) == ('513x513' in path.name)
    assert any('decode_head.conv_seg' in k for k in changed)
    assert not any(k.startswith('teacher.') for k in changed)
    if 'teacher' in cfg.model:
        losses = [k for k in training[0] if k.startswith('distill.loss')]
        assert len(losses) == len(cfg.model.distiller.distill_losses)
        assert all(line[k] > 0 for line in training for k in losses)
        learnt = [k for k in before if k.startswith('distiller.') and k.endswith('conv.weight')]
        assert set(learnt) <= changed


# The students of the demo, one of each method: a fragment joins a recipe that was made before.
_JOINED = ('cwd', 'kd', 'at', 'fitnet', 'ofd', 'ickd', 'review_kd')


def test_any_two_methods_are_joined_by_two_lines(roots, tmp_path, save_weights, two_iterations):
    """One after the other, until a recipe has them all: each adds its losses, none takes any."""
    base, losses = REPO / 'configs/tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py', 1
    for method in _JOINED:
        path = tmp_path / f'{method}_voc12aug.py'
        path.write_text(
            f"_base_ = ['{base}', '{REPO}/configs/_base_/methods/{method}.py']\n"
            "model = _base_.pop('method')\n"
        )
        before = Config.fromfile(base).model.distiller.distill_losses
        cfg = small(path, roots, tmp_path / 'run')
        found = cfg.model.distiller.distill_losses
        assert before.keys() < found.keys() and len(found) > losses
        base, losses = path, len(found)
    cfg.model.teacher_ckpt = save_weights(cfg.model.teacher)
    training, *_ = two_iterations(cfg)
    logged = [key for key in training[0] if key.startswith('distill.loss')]
    assert len(logged) == losses and all(line[k] > 0 for line in training for k in logged)
