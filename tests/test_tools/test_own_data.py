"""A data set of one's own: two folders, a file of names, one command."""

import shutil

import numpy as np
import pytest
from mmengine import Config
from PIL import Image

from mmrazor_tat.data_preparation import read_own_folders
from mmrazor_tat.datasets.toy_scenes import CLASSES, PALETTE


@pytest.fixture
def own(toy_voc, tmp_path):
    """A function that lays the drawn scenes out in another way; gives the root and the names."""

    def own(change=lambda mask: mask, classes=CLASSES, split='folders', mode='P'):
        root = tmp_path / 'own'
        lists = toy_voc / 'ImageSets/Segmentation'
        for part in ('train', 'val'):
            sub = part if split == 'folders' else ''
            for name in ('images', 'masks'):
                (root / name / sub).mkdir(parents=True, exist_ok=True)
            for stem in (lists / f'{part}.txt').read_text().split():
                shutil.copy(toy_voc / f'JPEGImages/{stem}.jpg', root / 'images' / sub)
                mask = np.asarray(Image.open(toy_voc / f'SegmentationClass/{stem}.png'))
                image = Image.fromarray(change(mask).astype(np.uint8), 'L')
                if mode == 'P':
                    image = Image.fromarray(change(mask).astype(np.uint8), 'P')
                    image.putpalette(np.resize(np.array(PALETTE, np.uint8), (256, 3)).tobytes())
                image.save(root / 'masks' / sub / f'{stem}.png')
            if split == 'lists':
                shutil.copy(lists / f'{part}.txt', root)
        names = tmp_path / 'names.txt'
        names.write_text('\n'.join(classes) + '\n')
        return root, names

    return own


def binary(mask):
    return np.where(mask == 0, 0, 255)


def test_a_pair_is_trained_on_binary_masks(repo, here, own, tmp_path):
    """From two folders to a teacher, a distilled student and its scores, by the commands shown."""
    root, names = own(binary, ('ground', 'thing'), split='none', mode='L')
    recipes, configs = tmp_path / 'recipes', repo / 'configs/small/demo'
    words = [repo / 'tools/new_recipe.py', configs / 'teacher.py', configs / 'student.py']
    words += ['--out', recipes / 'own.py', '--data', root, '--classes', names]
    text = here(*words)
    assert '0 is ground, 255 is thing' in text and 'every 10th image validates' in text
    short = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=2']
    for loader in ('train_dataloader', 'val_dataloader'):
        short += [f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
    short += ['default_hooks.checkpoint.interval=2', 'default_hooks.logger.interval=1']

    def train(config, run, *options):
        place = '--work-dir', tmp_path / run, '--cfg-options'
        return here(repo / 'tools/train.py', recipes / config, *place, *short, *options)

    log = train('own_teacher.py', 'teacher')
    assert '| ground |' in log and '| thing  |' in log
    log = train('own.py', 'run', f'model.teacher_ckpt={tmp_path}/teacher/iter_2.pth')
    assert '| thing  |' in log and 'distill.loss_tat' in log and 'teacher/mIoU' in log
    again = here(*words, ok=False)
    assert 'own.py exists: choose another --out, or add --force' in again


def shifted(mask):
    return np.where(mask == 255, 0, mask.astype(int) + 1)


def ignored_as(value, mask):
    """What does not count is 255 in every other column, else another value."""
    mask = np.array(mask)
    mask[:, ::2] = np.where(mask[:, ::2] == 255, value, mask[:, ::2])
    return mask


@pytest.mark.parametrize(
    ('change', 'options', 'is_written'),
    [
        (lambda mask: mask, {}, False),
        (lambda mask: np.where(mask == 255, 9, mask), dict(ignore_index=9), True),
        (shifted, dict(reduce_zero_label=True), True),
        (
            lambda mask: np.where(mask == 255, 255, mask * 20),
            dict(values=range(0, 140, 20)),
            True,
        ),
        (lambda mask: ignored_as(9, mask), dict(ignore_index=9), True),
        (
            lambda mask: ignored_as(0, np.where(mask == 255, 255, mask + 1)),
            dict(reduce_zero_label=True),
            True,
        ),
    ],
    ids=['as they are', 'ignore_index', 'reduce_zero_label', 'values', '9 and 255', '0 and 255'],
)
@pytest.mark.parametrize('split', ['folders', 'lists'])
def test_masks_become_those_of_the_classes(own, toy_voc, change, options, is_written, split):
    """Pixel by pixel those that were drawn, whatever the values in the files."""
    root, names = own(change, split=split)
    found = read_own_folders(root, names, **options)
    assert found.classes == [*CLASSES] and bool(found.notes) == is_written
    for part, of in found.dataset.items():
        stems = (toy_voc / f'ImageSets/Segmentation/{part}.txt').read_text().split()
        assert found.counts[part] == len(stems)
        for stem in stems:
            mask = np.asarray(Image.open(root / of['data_prefix']['seg_map_path'] / f'{stem}.png'))
            drawn = np.asarray(Image.open(toy_voc / f'SegmentationClass/{stem}.png'))
            assert np.array_equal(mask, drawn)


@pytest.mark.parametrize(
    ('change', 'classes', 'options', 'message'),
    [
        (lambda m: m, CLASSES[:5], {}, 'the masks hold 5, 6, which are none of the 5 classes'),
        (shifted, CLASSES, {}, r'the masks hold 7, .*--reduce-zero-label'),
        (lambda m: m, CLASSES, dict(values=[1, 2]), '--label-values must be 7 different values'),
        (lambda m: np.stack([m] * 3, 2), CLASSES, {}, 'has colours, 3 channels'),
        (lambda m: m, ('one',), {}, 'must name at least two different classes, it names 1'),
        (lambda m: m, ('a', 'a'), {}, "it names 'a' twice"),
        (lambda m: m, [f'class {k}' for k in range(256)], {}, 'mmseg reads masks of 8 bits'),
        (lambda m: m, CLASSES, dict(values=range(7), reduce_zero_label=True), 'zero-label: 0 does'),
    ],
)
def test_what_does_not_fit_is_named(own, change, classes, options, message):
    if change(np.zeros((2, 2))).ndim == 3:
        root, names = own(classes=classes, mode='L')
        path = next((root / 'masks/train').iterdir())
        Image.new('RGB', Image.open(path).size).save(path)
    else:
        root, names = own(change, classes, mode='L')
    with pytest.raises(ValueError, match=message):
        read_own_folders(root, names, **options)


def test_255_is_what_does_not_count_where_it_is_said(own):
    """Of two classes and 0 and 255 it is the second one, unless someone says otherwise."""
    root, names = own(lambda mask: np.where(mask == 0, 0, 255), ('ground', 'thing'))
    found = read_own_folders(root, names, ignore_index=255)
    assert found.notes == ['no mask holds thing'] and not (root / 'masks_as_classes').exists()
    assert '255 is thing' in read_own_folders(root, names).notes[0]
    with pytest.raises(ValueError, match="--ignore-index: 1 does not count, and is .* 'thing'"):
        read_own_folders(root, names, ignore_index=1)


def test_of_lists_alone_images_and_masks_are_needed(own):
    """As in VOC, whose folders hold more images than masks; names may have spaces and folders."""
    root, names = own(split='lists')
    lists = {name: (root / f'{name}.txt').read_text().split() for name in ('train', 'val')}
    odd, other = lists['val'][:2]
    for folder, ending in (('images', 'jpg'), ('masks', 'png')):
        (root / folder / 'more').mkdir()
        (root / f'{folder}/{odd}.{ending}').rename(root / f'{folder}/more/a b.v1.{ending}')
    (root / f'masks/{other}.png').unlink()
    (root / 'val.txt').write_text('\n'.join(['more/a b.v1', *lists['val'][2:]]))
    found = read_own_folders(root, names)
    assert found.counts == dict(train=len(lists['train']), val=len(lists['val']) - 1)
    assert found.notes[0] == f'1 images of {root}/images are in no list: they are not used'

    from mmengine.registry import DATASETS, init_default_scope

    init_default_scope('mmseg')
    load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    dataset = DATASETS.build(dict(**found.dataset['val'], pipeline=load))
    assert len(dataset) == found.counts['val'] and dataset[0]['gt_seg_map'].shape

    before = (root / 'train.txt').read_text()
    refused = {
        'nothing.jpg\nno\n': "names 'nothing.jpg' and 1 more, and there is no such",
        f'{odd}\n': f"names '{odd}', and there is no such",  # it was moved
        '\n'.join([lists['val'][2], '', lists['val'][3]]): 'line 2 is empty',
        '': 'val.txt has no image: val',
        '\ufeff' + lists['val'][2]: 'begins with a byte order mark',
    }
    for text, message in refused.items():
        (root / 'val.txt').write_text(text, encoding='utf-8')
        with pytest.raises(ValueError, match=message):
            read_own_folders(root, names)
    (root / 'val.txt').write_bytes(lists['val'][2].encode('utf-16'))
    with pytest.raises(ValueError, match='val.txt must be a text in UTF-8'):
        read_own_folders(root, names)
    (root / 'val.txt').write_text('\n'.join([lists['val'][2]] * 2 + [lists['train'][0]]))
    found = read_own_folders(root, names)
    assert found.counts['val'] == 3 and '1 images are in both lists' in '; '.join(found.notes)
    (root / 'val.txt').unlink()
    with pytest.raises(ValueError, match='has train.txt, but no list of the other images'):
        read_own_folders(root, names)
    assert (root / 'train.txt').read_text() == before


def test_nothing_is_written_where_something_does_not_fit(own, tmp_path):
    root, names = own(split='none')
    first = sorted((root / 'masks').iterdir())[0]
    whole = Image.open(first).copy()
    whole.crop((0, 0, 40, 30)).save(first)
    with pytest.raises(
        ValueError, match='is 40 x 30 pixels, its image .*: both must have one size'
    ):
        read_own_folders(root, names)
    # On its side, as a telephone writes it, with how to turn it in the file.
    whole.save(first)
    image = root / f'images/{first.stem}.jpg'
    turned = Image.open(image).rotate(90, expand=True).crop((0, 0, 50, 64))
    exif = turned.getexif()
    exif[274] = 6
    turned.save(image, exif=exif)
    whole.crop((0, 0, 50, 64)).save(first)
    with pytest.raises(ValueError, match='is 50 x 64 pixels, its image .* 64 x 50'):
        read_own_folders(root, names)
    whole.crop((0, 0, 64, 50)).save(first)
    whole.save(root / 'masks/lone.png')
    names.write_bytes('kähler'.encode('latin1'))
    with pytest.raises(ValueError, match='must be a text in UTF-8'):
        read_own_folders(root, names)
    assert not list(root.glob('*.txt'))
    names.write_bytes(b'\xef\xbb\xbf' + '\n'.join([*CLASSES, 'more']).encode())
    found = read_own_folders(root, names)
    assert found.classes == [*CLASSES, 'more'] and sorted(p.name for p in root.glob('*.txt'))
    text = '; '.join(found.notes)
    assert '1 masks of' in text and 'no mask holds more' in text and 'train.txt is written' in text


def test_a_refused_recipe_leaves_nothing(repo, here, own, tmp_path):
    root, names = own()
    configs, out = repo / 'configs/small/demo', tmp_path / 'r'
    words = [repo / 'tools/new_recipe.py', configs / 'teacher.py', configs / 'student.py']
    words += ['--out', out / 'r.py', '--data', root, '--classes', names]
    assert 'nonsense' in here(*words, '--student-feature', 'nonsense', ok=False)
    words[2] = repo / 'configs/_base_/datasets/toy_voc.py'
    assert 'has no model' in here(*words, ok=False)
    assert not list(out.glob('*.py'))


def test_masks_of_another_recipe_are_not_written_over(own, repo, here, tmp_path):
    root, names = own(lambda mask: np.where(mask == 255, 255, mask * 20), mode='L')
    found = read_own_folders(root, names, range(0, 140, 20))
    place = root / found.dataset['val']['data_prefix']['seg_map_path']
    before = {path: path.read_bytes() for path in place.iterdir()}
    assert read_own_folders(root, names, range(0, 140, 20)).dataset == found.dataset  # the same
    with pytest.raises(ValueError, match='holds another mask.* or add --force'):
        read_own_folders(root, names, range(120, -1, -20))
    assert before == {path: path.read_bytes() for path in place.iterdir()}
    read_own_folders(root, names, range(120, -1, -20), force=True)
    assert before != {path: path.read_bytes() for path in place.iterdir()}


def test_folders_that_are_not_there(own, tmp_path):
    root, names = own()
    next((root / 'masks/val').iterdir()).unlink()
    with pytest.raises(ValueError, match='has no mask: there is no '):
        read_own_folders(root, names)
    shutil.rmtree(root / 'masks')
    with pytest.raises(
        ValueError, match='must hold two folders, images and masks or .*it has images'
    ):
        read_own_folders(root, names)
    with pytest.raises(ValueError, match='it is no folder'):
        read_own_folders(tmp_path / 'nowhere', names)


@pytest.mark.parametrize(
    'config',
    [
        'mmseg::ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py',  # a list of heads
        'mmseg::unet/unet-s5-d16_fcn_4xb4-ce-1.0-dice-3.0-40k_chase-db1-128x128.py',  # wraps
        'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',  # reduce_zero_label
        'mmseg::ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',  # class weights
    ],
)
def test_a_config_of_mmseg_on_them(own, config, tmp_path):
    """All heads have the classes, nothing of the old data is left, and the samples are read."""
    from mmengine.registry import DATASETS, init_default_scope

    from mmrazor_tat.recipes import write_config_on_data

    root, names = own()
    found = read_own_folders(root, names)
    write_config_on_data(config, tmp_path / 'plain.py', found.dataset, found.classes)
    cfg = Config.fromfile(tmp_path / 'plain.py')
    for name in ('decode_head', 'auxiliary_head'):
        head = cfg.model.get(name) or []
        for of in head if isinstance(head, list) else [head]:
            assert of.num_classes == len(CLASSES)
            losses = of.get('loss_decode') or []
            for loss in losses if isinstance(losses, list) else [losses]:
                assert loss.get('class_weight') is None
    init_default_scope('mmseg')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    ids = dataset[0]['data_samples'].gt_sem_seg.data.unique()
    assert len(dataset) == found.counts['train'] and {*ids.tolist()} <= {*range(7), 255}
    assert (
        cfg.val_evaluator.type == 'IoUMetric'
        and cfg.test_pipeline == cfg.val_dataloader.dataset.pipeline
    )
