"""The real recipes by the tools' command lines, from the training to the student that is shipped.

On photographs where MMRAZOR_TAT_VOC_ROOT names a VOCdevkit/VOC2012, all of it or a part:
.ci/run sets it where there is one. COCO-Stuff's recipe runs everywhere, on drawn images. Only the
crop and the iterations are reduced: validation and test have the recipes' own pipelines.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.runner import runner as runner_module
from mmseg.registry import MODELS
from PIL import Image
from toy_coco_stuff import write_toy_coco_stuff

from mmrazor_tat.datasets.toy_scenes import write_toy_voc

REPO = Path(__file__).parent.parent
ROOT = os.environ.get('MMRAZOR_TAT_VOC_ROOT')
IMAGES = 2
STUDENTS = ('r18-d8', 'mobilenet-v2-d8')
EVERY = sorted((REPO / 'configs').glob('[!_]*/*_voc12aug-*.py'))
# At a crop of 128 the map is 16 x 16: patches of 2 x 2, as many of them in a group as there are.
VIEWS = 'model.distiller.distill_losses.loss_tat.views.0'
SMALL = [
    'crop_size=(128,128)',
    'train_dataloader.batch_size=2',
    'default_hooks.logger.interval=1',
    f'{VIEWS}.grid=(8,8)',
    'pretrained=None',
    'randomness.seed=0',
    # A ResNet-101 needs seconds for a whole image: it is not evaluated beside the student, and
    # checked on one image, in one of the tests. Its weights are random anyhow.
    'default_hooks.teacher_evaluation=None',
]
CHECK = ['default_hooks.teacher_check.num_images=1', 'default_hooks.teacher_check.floor=0']
NO_CHECK = ['default_hooks.teacher_check=None']


def photographs(function):
    function = pytest.mark.skipif(ROOT is None, reason='MMRAZOR_TAT_VOC_ROOT is not set')(function)
    return pytest.mark.voc(function)


def config_of(student: str, data: str) -> Path:
    return REPO / f'configs/tat/tat_deeplabv3_r101-d8_{student}_4xb4-40k_{data}-512x512.py'


def draw_teacher(config: Path, folder: Path) -> Path:
    """A checkpoint of random weights for a recipe's teacher."""
    torch.manual_seed(1)
    model = MODELS.build(Config.fromfile(config).model.teacher)
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'teacher.pth')
    return folder / 'teacher.pth'


@pytest.fixture(scope='module')
def teacher(tmp_path_factory) -> Path:
    return draw_teacher(config_of('r18-d8', 'voc12aug'), tmp_path_factory.mktemp('teacher'))


def seeing(class_id: int, checkpoint: Path) -> Path:
    """A copy of a recipe's checkpoint whose student sees one class everywhere."""
    content = torch.load(checkpoint, map_location='cpu', weights_only=False)
    content['state_dict']['architecture.decode_head.conv_seg.bias'][class_id] += 1e6
    path = checkpoint.with_name('one_class.pth')
    torch.save(content, path)
    return path


def read_maps(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.array(Image.open(path)) for path in folder.iterdir()}


def miou_by_hand(
    predictions: dict[str, np.ndarray], labels: dict[str, np.ndarray], classes: int
) -> float:
    """Of predictions in their labels' sizes."""
    assert predictions.keys() == labels.keys()
    confusion = np.zeros((classes, classes))
    for name, label in labels.items():
        predicted = predictions[name]
        assert predicted.shape == label.shape
        keep = label != 255
        np.add.at(confusion, (label[keep], predicted[keep]), 1)
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    with np.errstate(invalid='ignore'):
        return 100 * np.nanmean(np.diag(confusion) / union)


@pytest.fixture
def tool(monkeypatch, here):
    """A function that runs a tool in this process, which spares its start, and gives its output."""
    monkeypatch.setattr(runner_module, 'collect_env', dict)  # which asks compilers for versions
    return here


def in_process(name: str) -> list[str]:
    """Options of a run in this process: its own names, and no worker processes."""
    loaders = [f'{split}_dataloader' for split in ('train', 'val', 'test')]
    return [
        f'experiment_name={name}',
        f'visualizer.name={name}',
        *(f'{loader}.num_workers=0' for loader in loaders),
        *(f'{loader}.persistent_workers=False' for loader in loaders),
    ]


@photographs
@pytest.mark.parametrize('student', STUDENTS)
def test_from_training_to_shipping(student, tool, teacher, miou, tmp_path):
    config, work_dir = config_of(student, 'voc12aug'), tmp_path / 'run'
    whole = student == 'r18-d8'  # the other is neither checked nor resumed nor drawn
    options = [
        '--cfg-options',
        *SMALL,
        *(CHECK if whole else NO_CHECK),
        f'data_root={ROOT}',
        f'model.teacher_ckpt={teacher}',
        f'{VIEWS}.groups={16 if student == "r18-d8" else 64}',
        'train_cfg.val_interval=4',
        'default_hooks.checkpoint.interval=2',
        *(f'{split}_dataloader.dataset.indices={IMAGES}' for split in ('val', 'test')),
    ]
    train = 'train.py', config, '--work-dir', work_dir
    first = ''
    if whole:
        first = tool(*train, *options, *in_process(f'{student}_first'), 'train_cfg.max_iters=2')
        assert 'distill.tat_patch' in first and 'distill.tat_anchor' in first
    options_of_second = *options, *in_process(f'{student}_second'), 'train_cfg.max_iters=4'
    second = tool(*train, *(['--resume'] if whole else []), *options_of_second)
    assert ('resumed epoch: 0, iter: 2' in second) == whole and 'Iter(train) [4/4]' in second
    assert 'distill.tat_patch' in second and 'distill.tat_anchor' in second
    said = r'the teacher has mIoU [\d.]+ on the first 1 validation images'
    assert bool(re.search(said, first + second)) == whole

    def test(checkpoint: Path, name: str, *more) -> tuple[str, dict[str, np.ndarray]]:
        arguments = config, checkpoint, '--work-dir', tmp_path / 'test', '--out', tmp_path / name
        text = tool('test.py', *arguments, *options, *in_process(f'{student}_{name}'), *more)
        return text, read_maps(tmp_path / name)

    checkpoint = work_dir / 'iter_4.pth'
    tested, predicted = test(checkpoint, 'all')
    assert miou(tested) == miou(second)
    names = (Path(ROOT) / 'ImageSets/Segmentation/val.txt').read_text().split()[:IMAGES]
    labels = {
        name: np.array(Image.open(Path(ROOT) / f'SegmentationClass/{name}.png')) for name in names
    }
    by_hand = miou_by_hand(predicted, labels, 21)
    assert miou(tested) == pytest.approx(by_hand, abs=0.0051) and by_hand > 0
    if whole:
        # Hardly trained it sees background alone: the checkpoint of another class sees that one.
        only = 'test_dataloader.dataset.indices=1'
        (found,) = test(seeing(15, checkpoint), 'one', only)[1].values()
        assert np.unique(found).tolist() == [15]

    # Panels of one image: they need the teacher too.
    panels = ['--num-images', 1, '--count', 1, '--attention-images', 0]
    reported = tool('report.py', work_dir, *(panels if whole else ['--logs-only']))
    assert reported.splitlines() == [f'{work_dir / "report.html"} is written']  # nothing is missing
    page = (work_dir / 'report.html').read_text()
    cells = [cell.strip() for cell in re.findall(r'<td[^>]*>([^<]*)</td>', page)]
    assert f'{miou(second):.2f}' in cells
    assert (f'alt="{names[0]}: label"' in page) == whole

    out = tmp_path / 'shipped'
    shipped = tool('export_student.py', work_dir / config.name, checkpoint, out)
    height, width = labels[names[0]].shape
    assert (
        f'{names[0]}.jpg: 21 x {height} x {width} logits and the labels by mmseg.apis equal those '
        'of the recipe, bit by bit' in shipped
    )
    assert {path.name for path in out.iterdir()} == {'student.py', 'student.pth', 'export.json'}


@pytest.fixture(scope='module')
def teacher_of(tmp_path_factory):
    """A function that draws the teacher of a recipe; recipes share it where it is the same."""
    drawn: dict[str, Path] = {}

    def teacher_of(config: Path) -> Path:
        text = repr(Config.fromfile(config).model.teacher)
        if text not in drawn:
            drawn[text] = draw_teacher(config, tmp_path_factory.mktemp('teacher'))
        return drawn[text]

    return teacher_of


def test_all_are_here():
    assert len(EVERY) == 67


@pytest.mark.slow
@photographs
@pytest.mark.parametrize('config', EVERY, ids=lambda path: path.stem)
def test_every_recipe_trains_validates_and_is_tested(config, tool, teacher_of, miou, tmp_path):
    """At its own crop, by its own pipelines; a batch of two photographs, one to validate."""
    by_iteration = '40k' in config.stem
    length = dict(max_iters=1, val_interval=1) if by_iteration else dict(max_epochs=1)
    options = [
        '--cfg-options',
        *in_process(config.stem),
        'pretrained=None',
        f'data_root={ROOT}',
        'train_dataloader.batch_size=2',
        *(f'train_dataloader.dataset.datasets.{part}.indices=1' for part in (0, 1)),
        *(f'{split}_dataloader.dataset.indices=1' for split in ('val', 'test')),
        *(f'train_cfg.{key}={value}' for key, value in length.items()),
        'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=1',
    ]
    if 'teacher' in Config.fromfile(config).model:
        options += [f'model.teacher_ckpt={teacher_of(config)}', SMALL[-1], *CHECK]
    trained = tool('train.py', config, '--work-dir', tmp_path, *options)
    checkpoint = tmp_path / ('iter_1.pth' if by_iteration else 'epoch_1.pth')
    test = [option for option in options if 'experiment_name' not in option]
    tested = tool(
        *('test.py', config, checkpoint, '--work-dir', tmp_path / 'test', *test),
        f'experiment_name={config.stem}_test',
    )
    assert miou(tested) == miou(trained)


@pytest.fixture(scope='module')
def coco(tmp_path_factory) -> Path:
    """Drawn scenes of several sizes, as a COCO-Stuff 10K root with ids up to 169 of 171."""
    sizes = [(64, 64), (75, 64), (48, 63)]
    voc = write_toy_voc(tmp_path_factory.mktemp('voc'), num_train=4, num_val=2, size=sizes)
    root = tmp_path_factory.mktemp('coco')
    return write_toy_coco_stuff(voc, root, lambda label: 1 + 28 * label)


def test_a_recipe_of_coco_stuff(tool, coco, miou, tmp_path):
    config, work_dir = config_of('r18-d8', 'coco-stuff10k'), tmp_path / 'run'
    options = [
        '--cfg-options',
        *SMALL,
        *NO_CHECK,
        f'data_root={coco}',
        f'model.teacher_ckpt={draw_teacher(config, tmp_path)}',
        f'{VIEWS}.groups=32',
        'val_dataloader.dataset.indices=1',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2',
    ]
    trained = tool('train.py', config, '--work-dir', work_dir, *options, *in_process('train'))
    assert 'distill.tat_patch' in trained and 'distill.tat_anchor' in trained
    assert 0 <= miou(trained) <= 100
    checkpoint = seeing(0, work_dir / 'iter_2.pth')
    test = 'test.py', config, checkpoint, '--work-dir', tmp_path / 'test'
    tested = tool(*test, '--out', tmp_path / 'predictions', *options, *in_process('test'))
    labels = {}
    for path in (coco / 'annotations/test2014').iterdir():
        label = np.array(Image.open(path))
        label[label != 255] -= 1
        labels[path.stem.removesuffix('_labelTrainIds')] = label
    predicted = read_maps(tmp_path / 'predictions')
    # The files hold COCO-Stuff's ids, 1 higher than the class 0 that is seen.
    assert len(predicted) == 2 and all((found == 1).all() for found in predicted.values())
    by_hand = miou_by_hand({name: found - 1 for name, found in predicted.items()}, labels, 171)
    assert miou(tested) == pytest.approx(by_hand, abs=0.0051) and by_hand > 1
