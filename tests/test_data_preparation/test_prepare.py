"""Roots made from small archives in the official formats, by mmseg's own converters."""

import errno
import io
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from mmengine import Config
from mmseg.registry import DATASETS
from PIL import Image
from scipy.io import savemat

from mmrazor_tat.data_preparation import archives, prepare
from mmrazor_tat.data_preparation.check import check_root
from mmrazor_tat.data_preparation.layouts import DataError

# Official ids of COCO-Stuff 10K and what mmseg numbers them: 12, 26, 29, 30, ... are unused.
OFFICIAL = [0, 1, 11, 13, 25, 27, 90, 92, 182]
TRAIN_IDS = [0, 1, 11, 12, 24, 25, 80, 81, 171]
AFTER_REDUCTION = [255, 0, 10, 11, 23, 24, 79, 80, 170]
COCO = {
    'train': ['COCO_train2014_000000000077', 'COCO_train2014_000000000110'],
    'test': ['COCO_train2014_000000000692'],
}
SIZE = dict(zip(COCO['train'] + COCO['test'], [(6, 9), (9, 12), (12, 18)]))

VOC_TRAIN, VOC_VAL = ['2007_000032', '2007_000039'], ['2007_000033']
SBD_TRAIN, SBD_VAL = ['2007_000032', '2008_000008'], ['2007_000033', '2008_000015']
LISTS = 'ImageSets/Segmentation'
READ = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]


def prepare_voc12aug(root, voc=None, sbd=None, **how):
    given = {archives.VOC.file_name: voc, archives.SBD.file_name: sbd}
    return prepare.prepare('voc12aug', root, given, **how)


def prepare_coco_stuff10k(root, archive=None, **how):
    return prepare.prepare('coco-stuff10k', root, {archives.COCO.file_name: archive}, **how)


def stripes(ids, height, width):
    """(H, W): the ids as columns, over and over."""
    return np.tile(np.resize(ids, width), (height, 1))


def image(height, width, form='JPEG'):
    file = io.BytesIO()
    Image.new('RGB', (width, height), (200, 100, 50)).save(file, form)
    return file.getvalue()


def palette(label):
    file = io.BytesIO()
    coloured = Image.fromarray(label.astype(np.uint8))
    coloured.putpalette(bytes(range(256)) * 3)
    coloured.save(file, 'PNG')
    return file.getvalue()


def mat(**variables):
    file = io.BytesIO()
    savemat(file, variables)
    return file.getvalue()


def lines(names):
    return ''.join(f'{name}\n' for name in names).encode()


def annotation(ids, height, width):
    """What the official files hold, with S as the matrix of ids."""
    return mat(
        S=stripes(ids, height, width).astype(np.uint16),
        names=np.array(['unlabeled', 'person'], object),
        captions=np.array(['a caption'], object),
        regionMapStuff=np.ones((height, width), np.uint16),
        regionLabelsStuff=np.array([[1]], np.uint16),
    )


def coco_files():
    files = {
        'imageLists/all.txt': lines([*COCO['train'], *COCO['test']]),
        'imageLists/train.txt': lines(COCO['train']),
        'imageLists/test.txt': lines(COCO['test']),
        'cocostuff-labels.txt': b'0: unlabeled\n',
    }
    for name, (height, width) in SIZE.items():
        files[f'images/{name}.jpg'] = image(height, width)
        files[f'annotations/{name}.mat'] = annotation(OFFICIAL, height, width)
    return files


def voc_files():
    files = {
        f'{LISTS}/train.txt': lines(VOC_TRAIN),
        f'{LISTS}/val.txt': lines(VOC_VAL),
        f'{LISTS}/trainval.txt': lines(VOC_TRAIN + VOC_VAL),
        'Annotations/2007_000032.xml': b'<annotation/>',
    }
    for name in {*VOC_TRAIN, *VOC_VAL, *SBD_TRAIN, *SBD_VAL}:
        files[f'JPEGImages/{name}.jpg'] = image(6, 8)
    for name in VOC_TRAIN + VOC_VAL:
        files[f'SegmentationClass/{name}.png'] = palette(stripes([0, 5, 255], 6, 8))
    return {f'VOCdevkit/VOC2012/{name}': content for name, content in files.items()}


def sbd_files():
    files = {'dataset/train.txt': lines(SBD_TRAIN), 'dataset/val.txt': lines(SBD_VAL)}
    for number, name in enumerate(SBD_TRAIN + SBD_VAL):
        ids = stripes([0, 7 + number], 6, 8).astype(np.uint8)
        inside = dict(Segmentation=ids, Boundaries=np.array([[0.0]], object), CategoriesPresent=7)
        files[f'dataset/cls/{name}.mat'] = mat(GTcls=inside)
    files['benchmark_code_RELEASE/demo/datadir/cls/2008_000051.mat'] = b''
    return {f'benchmark_RELEASE/{name}': content for name, content in files.items()}


FIRST, LAST = COCO['train'][0], COCO['test'][0]


def write_zip(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files, mode='w'):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_files(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def dataset(name, root, split):
    """The data set of mmseg's own config, told no more than where the root is."""
    cfg = Config.fromstring(f"_base_ = 'mmseg::_base_/datasets/{name}.py'", '.py')
    cfg = cfg[f'{split}_dataloader'].dataset
    for part in cfg.get('datasets', [cfg]):
        part.data_root = str(root)
        if split == 'train':
            part.pipeline = READ  # without what is random
    return DATASETS.build(cfg)


@pytest.fixture(scope='module')
def coco_made(tmp_path_factory):
    """(root, report, what was said)."""
    root = tmp_path_factory.mktemp('coco') / 'data/coco_stuff10k'
    write_zip(root.parent / 'cocostuff-10k-v1.1.zip', coco_files())
    said = []
    return root, prepare_coco_stuff10k(root, subset=True, workers=2, say=said.append), said


@pytest.fixture(scope='module')
def voc_made(tmp_path_factory):
    root = tmp_path_factory.mktemp('voc') / 'data/VOCdevkit/VOC2012'
    write_tar(root.parents[1] / 'VOCtrainval_11-May-2012.tar', voc_files())
    write_tar(root.parents[1] / 'benchmark.tgz', sbd_files(), 'w:gz')
    said = []
    return root, prepare_voc12aug(root, subset=True, workers=2, say=said.append), said


@pytest.fixture
def coco_root(coco_made, tmp_path):
    """A finished root of its own, for a test that damages it, with the archive beside it."""
    shutil.copytree(coco_made[0].parent, tmp_path / 'data')
    return tmp_path / 'data/coco_stuff10k'


@pytest.fixture
def converter_is_not_run(monkeypatch):
    def fail(*arguments):
        raise AssertionError('the converter was run')

    monkeypatch.setattr(prepare, '_run_converter', fail)


class TestCoco:
    def test_made(self, coco_made):
        """Nothing else is left: neither raw annotations nor second copies of the images."""
        root, report, said = coco_made
        assert report.ok and report.read == 3
        assert report.counts == {'train': 2, 'test': 1}
        archive = root.parent / 'cocostuff-10k-v1.1.zip'
        assert said == [f'unpacking {archive} (0.0 GB)', 'converting the annotations']
        assert sorted(tree(root)) == sorted(
            ['imageLists/train.txt', 'imageLists/test.txt']
            + [f'images/{s}2014/{name}.jpg' for s in COCO for name in COCO[s]]
            + [f'annotations/{s}2014/{name}_labelTrainIds.png' for s in COCO for name in COCO[s]]
        )
        for split, names in COCO.items():
            for name in names:
                path = root / f'annotations/{split}2014/{name}_labelTrainIds.png'
                assert np.array_equal(Image.open(path), stripes(TRAIN_IDS, *SIZE[name])), name

    def test_mmseg_reads_it(self, coco_made):
        train = dataset('coco-stuff10k', coco_made[0], 'train')
        val = dataset('coco-stuff10k', coco_made[0], 'val')
        assert (len(train), len(val)) == (2, 1)
        item = train[0]
        assert item['data_samples'].img_path.endswith(f'{FIRST}.jpg')
        assert item['inputs'].shape == (3, 6, 9)
        label = item['data_samples'].gt_sem_seg.data[0].numpy()
        assert np.array_equal(label, stripes(AFTER_REDUCTION, 6, 9))
        # mmseg's test pipeline scales the image, not the label: 12 x 18 to a short side of 512.
        assert val[0]['inputs'].shape == (3, 512, 768)
        label = val[0]['data_samples'].gt_sem_seg.data[0].numpy()
        assert np.array_equal(label, stripes(AFTER_REDUCTION, 12, 18))

    def test_complete_already(self, coco_made, converter_is_not_run):
        said = []
        report = prepare_coco_stuff10k(coco_made[0], subset=True, say=said.append)
        assert report.ok and said == ['already complete, nothing to do']

    def test_damage_is_repaired(self, coco_root):
        """From the archive, even where the files it came from are all in the root."""
        raw = {**coco_files(), f'images/{LAST}.jpg': b''}
        whole = {**raw, **tree(coco_root)}
        write_files(coco_root, raw)
        label = coco_root / f'annotations/test2014/{LAST}_labelTrainIds.png'
        label.write_bytes(label.read_bytes()[:-30])
        (coco_root / f'images/test2014/{LAST}.jpg').write_bytes(b'')
        said = []
        assert prepare_coco_stuff10k(coco_root, subset=True, workers=1, say=said.append).ok
        assert 'unreadable files: 2' in said[0] and said[0].endswith('\nmaking it anew')
        assert tree(coco_root) == whole

    def test_killed(self, coco_root):
        """What a killed run had all but finished is neither taken nor recommended, but removed."""
        whole = tree(coco_root)
        left = coco_root.parent / 'left'
        coco_root.rename(left)
        coco_root.mkdir()
        left.rename(coco_root / 'prepare_data.unfinished.x')
        with pytest.raises(DataError, match=r'annotations/train2014/$'):
            check_root('coco-stuff10k', coco_root)
        assert prepare_coco_stuff10k(coco_root, subset=True, workers=1).ok
        assert tree(coco_root) == whole

    def test_unpacked_root(self, coco_made, tmp_path):
        """Unpacked into the root by hand, as mmseg's guide has it: used in place, and left."""
        files = coco_files()
        write_files(tmp_path, files)
        assert prepare_coco_stuff10k(tmp_path, subset=True, workers=1).ok
        assert tree(tmp_path) == {**files, **tree(coco_made[0])}


class TestVoc:
    def test_made(self, voc_made):
        """The lists have SBD's images without VOC's own; none of VOC's validation, though SBD
        trains on some."""
        root, report, said = voc_made
        assert report.ok and report.read == 5
        assert report.counts == {'train': 2, 'aug': 2, 'val': 1}
        assert said == [
            f'unpacking {root.parents[1]}/VOCtrainval_11-May-2012.tar (0.0 GB)',
            f'unpacking {root.parents[1]}/benchmark.tgz (0.0 GB)',
            'converting the labels of SBD',
        ]
        images = {*VOC_TRAIN, *VOC_VAL, *SBD_TRAIN, *SBD_VAL}
        assert sorted(tree(root)) == sorted(
            [f'{LISTS}/{name}.txt' for name in ('train', 'val', 'trainval', 'trainaug', 'aug')]
            + [f'JPEGImages/{name}.jpg' for name in images]
            + [f'SegmentationClass/{name}.png' for name in VOC_TRAIN + VOC_VAL]
            + [f'SegmentationClassAug/{name}.png' for name in SBD_TRAIN + SBD_VAL]
        )
        aug, trainaug = (
            sorted((root / LISTS / f'{name}.txt').read_text().split())
            for name in ('aug', 'trainaug')
        )
        assert aug == ['2008_000008', '2008_000015']
        assert trainaug == [*VOC_TRAIN, *aug]

    def test_mmseg_reads_it(self, voc_made):
        train = dataset('pascal_voc12_aug', voc_made[0], 'train')
        val = dataset('pascal_voc12_aug', voc_made[0], 'val')
        assert (len(train), len(val)) == (4, 1)
        found = {}
        for item in train:
            assert item['inputs'].shape == (3, 6, 8)
            label = item['data_samples'].gt_sem_seg.data[0].numpy()
            found[item['data_samples'].img_path[-15:-4]] = label
        assert sorted(found) == [*VOC_TRAIN, '2008_000008', '2008_000015']
        assert np.array_equal(found['2007_000032'], stripes([0, 5, 255], 6, 8))  # VOC's, not SBD's
        assert np.array_equal(found['2008_000008'], stripes([0, 8], 6, 8))
        assert np.array_equal(found['2008_000015'], stripes([0, 10], 6, 8))
        assert val[0]['data_samples'].gt_sem_seg.data.shape == (1, 6, 8)

    def test_unpacked_folders(self, voc_made, tmp_path):
        """Both unpacked by hand, and once more: the lists come in the same order."""
        write_files(tmp_path, {**voc_files(), **sbd_files()})
        root = tmp_path / 'VOCdevkit/VOC2012'
        assert prepare_voc12aug(root, subset=True, workers=1).ok
        xml = {'Annotations/2007_000032.xml': b'<annotation/>'}
        assert tree(root) == {**tree(voc_made[0]), **xml}


class TestSources:
    def test_no_archives(self, tmp_path):
        root = tmp_path / 'VOCdevkit/VOC2012'
        with pytest.raises(DataError) as caught:
            prepare_voc12aug(root)
        assert str(caught.value) == (
            'voc12aug needs VOCtrainval_11-May-2012.tar (from the PASCAL VOC 2012 page; '
            '--voc-archive if it lies elsewhere) and benchmark.tgz (from the page of SBD, the '
            'Semantic Boundaries Dataset; --sbd-archive if it lies elsewhere). Nothing is '
            f'downloaded; looked in {root}, {root.parent}, {root.parents[1]}'
        )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        'make, root, given, text',
        [
            (prepare_coco_stuff10k, 'coco', [], r'looked in \S*/coco, \S*[^/]$'),
            (prepare_coco_stuff10k, 'coco', ['my.zip'], r'^--archive: there is no \S*/my.zip$'),
            (prepare_coco_stuff10k, 'coco', ['.'], '^--archive: .* imageLists/train.txt and 1 mo'),
            (
                prepare_voc12aug,
                'new/VOC2012',
                ['VOCdevkit/VOC2012', 'benchmark_RELEASE'],
                'VOC2012 is a folder; to use it, name it as the root',
            ),
            (
                prepare_voc12aug,
                'VOCdevkit/VOC2012/JPEGImages/2008_000008.jpg',
                [],
                'is a file; the root must be .../VOCdevkit/VOC2012',
            ),
        ],
        ids=['none', 'missing', 'incomplete', 'folder elsewhere', 'a file for a root'],
    )
    def test_of_no_use(self, tmp_path, make, root, given, text):
        write_files(tmp_path, {**voc_files(), **sbd_files()})
        with pytest.raises(DataError, match=text):
            make(tmp_path / root, *(tmp_path / path for path in given))

    def test_unpacked_in_part(self, tmp_path):
        files = voc_files()
        del files['VOCdevkit/VOC2012/JPEGImages/2007_000039.jpg']
        write_files(tmp_path, files)
        text = r'VOC2012 is incomplete: it lacks JPEGImages/2007_000039'
        with pytest.raises(DataError, match=text):
            prepare_voc12aug(tmp_path / 'VOCdevkit/VOC2012')


class TestArchives:
    """What is wrong with an archive is one line, and the root stays as it was."""

    @pytest.fixture
    def refused(self, tmp_path, converter_is_not_run):
        def refused(archive, subset=True):
            root = tmp_path / 'coco'
            with pytest.raises(DataError) as caught:
                prepare_coco_stuff10k(root, archive, subset=subset)
            assert not root.exists() and '\n' not in str(caught.value)
            assert 'unfinished' not in str(caught.value)  # a folder that is gone
            return str(caught.value).replace(str(tmp_path) + '/', '')

        return refused

    def test_not_the_official_counts(self, refused, tmp_path):
        assert refused(write_zip(tmp_path / 'a.zip', coco_files()), subset=False) == (
            'names in imageLists/train.txt: 2, officially 9,000; names in imageLists/test.txt: '
            '1, officially 1,000. --subset takes the counts as they are'
        )

    @pytest.mark.parametrize(
        'name, content, text',
        [
            (
                f'annotations/{FIRST}.mat',
                annotation([1, 12, 26], *SIZE[FIRST]),
                f'a.zip: annotations/{FIRST}.mat has ids that COCO-Stuff 10K v1.1 has not '
                '(12, 26); is it another version?',
            ),
            (
                f'annotations/{FIRST}.mat',
                b'?' * 200,
                f'a.zip: annotations/{FIRST}.mat is unreadable: ',
            ),
            (
                'imageLists/test.txt',
                lines([FIRST]),
                f'a.zip: names both in imageLists/train.txt and in imageLists/test.txt: 1 {FIRST}',
            ),
            (
                'imageLists/test.txt',
                lines([LAST, 'x']),
                'a.zip is incomplete: it lacks images/x.jpg and 1 more',
            ),
        ],
        ids=['version 1.0', 'unreadable', 'lists', 'incomplete'],
    )
    def test_a_file_at_fault(self, refused, tmp_path, name, content, text):
        archive = write_zip(tmp_path / 'a.zip', {**coco_files(), name: content})
        assert refused(archive).startswith(text)

    def test_damaged_zip(self, refused, tmp_path):
        content = image(60, 80)
        path = write_zip(tmp_path / 'a.zip', {**coco_files(), 'images/x.jpg': content})
        packed = path.read_bytes()
        where = packed.index(content) + 100
        path.write_bytes(packed[:where] + b'????' + packed[where + 4 :])
        assert refused(path) == (
            "a.zip cannot be unpacked (Bad CRC-32 for file 'images/x.jpg'): it is damaged, "
            'incomplete or another file; get cocostuff-10k-v1.1.zip anew from the COCO-Stuff 10K '
            'v1.1 page'
        )
        path.write_bytes(packed[:-100])
        assert refused(path).startswith('a.zip cannot be unpacked (File is not a zip file)')

    def test_another_zip(self, refused, tmp_path):
        assert refused(write_zip(tmp_path / 'a.zip', {'readme.txt': b''})) == (
            'a.zip is not cocostuff-10k-v1.1.zip: it has no images/, annotations/, imageLists/'
        )

    @pytest.mark.parametrize('name', ['../out.jpg', 'images/../../out.jpg', '/tmp/out.jpg'])
    @pytest.mark.parametrize('write', [write_zip, write_tar])
    def test_member_outside(self, refused, tmp_path, write, name):
        path = write(tmp_path / ('a.zip' if write is write_zip else 'a.tar'), {name: b''})
        assert refused(path) == (
            f'{path.name} is refused: its member {name!r} would lie outside of the folder'
        )
        assert not list(tmp_path.rglob('out.jpg'))

    def test_link(self, refused, tmp_path):
        """A link is never made, so nothing is written through it."""
        with tarfile.open(tmp_path / 'a.tar', 'w') as archive:
            link = tarfile.TarInfo('images/x.jpg')
            link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
            archive.addfile(link)
        assert 'a.tar is not cocostuff-10k-v1.1.zip' in refused(tmp_path / 'a.tar')

    def test_disk_full(self, refused, tmp_path, monkeypatch):
        def full(*arguments):
            raise OSError(errno.ENOSPC, 'No space left on device')

        monkeypatch.setattr(archives.shutil, 'copyfileobj', full)
        assert refused(write_zip(tmp_path / 'a.zip', coco_files())) == (
            'unpacking a.zip failed: No space left on device; make room and start again'
        )

    @pytest.mark.parametrize(
        'voc, sbd, text',
        [
            (voc_files(), sbd_files(), 'names in ImageSets/Segmentation/train.txt: 2, officially '),
            (
                {'VOC2012/x': b''},
                sbd_files(),
                'voc.tar is not VOCtrainval_11-May-2012.tar: it has ',
            ),
            (voc_files(), {'cls/x': b''}, 'sbd.tgz is not benchmark.tgz: it has no dataset/cls/'),
            (
                voc_files(),
                {**sbd_files(), 'benchmark_RELEASE/dataset/val.txt': lines(SBD_TRAIN[:1])},
                'sbd.tgz: names both in dataset/train.txt and ',
            ),
        ],
        ids=['counts', 'other VOC', 'other SBD', 'lists of SBD'],
    )
    def test_voc(self, tmp_path, converter_is_not_run, voc, sbd, text):
        root = tmp_path / 'VOCdevkit/VOC2012'
        voc = write_tar(tmp_path / 'voc.tar', voc)
        sbd = write_tar(tmp_path / 'sbd.tgz', sbd, 'w:gz')
        with pytest.raises(DataError) as caught:
            prepare_voc12aug(root, voc, sbd)
        assert text in str(caught.value)
        assert not root.parent.exists()  # made for the root, and gone with it

    @pytest.mark.parametrize('files', [{}, {'notes.txt': b'mine'}])
    def test_a_root_that_was_there_stays(self, tmp_path, converter_is_not_run, files):
        root = tmp_path / 'coco'
        root.mkdir()
        write_files(root, files)
        with pytest.raises(DataError):
            prepare_coco_stuff10k(root, write_zip(tmp_path / 'a.zip', coco_files()))
        assert root.is_dir() and tree(root) == files

    def test_truncated_tars(self, tmp_path, converter_is_not_run):
        voc = write_tar(tmp_path / 'voc.tar', voc_files())
        sbd = write_tar(tmp_path / 'sbd.tgz', sbd_files(), 'w:gz')
        sbd.write_bytes(sbd.read_bytes()[:-50])
        with pytest.raises(DataError, match=r'sbd.tgz cannot be unpacked \(Compressed file ended'):
            prepare_voc12aug(tmp_path / 'VOC2012', voc, sbd)
        voc.write_bytes(voc.read_bytes()[:5000])
        with pytest.raises(DataError, match=r'voc.tar cannot be unpacked \(unexpected end of d'):
            prepare_voc12aug(tmp_path / 'VOC2012', voc, sbd)


class TestConverter:
    def test_official_length_is_kept(self, tmp_path):
        """Unless it is a subset, mmseg's own assertion still stands."""
        write_files(tmp_path / 'coco', coco_files())
        arguments = tmp_path / 'coco', '-o', tmp_path / 'out', 1
        with pytest.raises(DataError) as caught:
            prepare._run_converter('coco_stuff10k', 'COCO_LEN', None, *arguments)
        assert str(caught.value) == (
            "mmseg's coco_stuff10k.py failed: AssertionError: Wrong length of list 2 & 1"
        )

    def test_missing(self):
        with pytest.raises(DataError, match=r'has no .mim/tools/dataset_converters/nothing.py$'):
            prepare._run_converter('nothing', 'LEN', None, 1)
