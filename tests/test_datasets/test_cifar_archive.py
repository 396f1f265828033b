"""The data set in CIFAR-100's layout: values by hand, and every fault once."""

import hashlib
import os
import pickle

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

from mmrazor_tat.datasets import CIFARArchive, cifar_source
from mmrazor_tat.datasets.safe_pickle import PickledCodeError
from mmrazor_tat.utils.archives import DataError

TYPE = 'mmrazor.CIFARArchive'  # as a config of any package names it
ARCHIVE = 'cifar-100-python.tar.gz'
MD5 = 'eb9058c3a382ffc7106e4002c42a8d85'


class Marker:
    """A pickle of it writes a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.system, (f'echo ran > {self.path}',)


@pytest.fixture
def root(tmp_path, cifar_files, write_cifar):
    return write_cifar(tmp_path / 'folder', cifar_files)


@pytest.fixture
def archive(tmp_path, cifar_files, write_cifar):
    return write_cifar(tmp_path / 'archive' / ARCHIVE, cifar_files)


@pytest.fixture
def with_train(root):
    """A function that puts another pickle, or other bytes, into ``train``."""

    def with_train(content, file='train'):
        content = content if isinstance(content, bytes) else pickle.dumps(content)
        (root / 'cifar-100-python' / file).write_bytes(content)
        return root / 'cifar-100-python' / file

    return with_train


def error_of(data_root, **arguments):
    with pytest.raises(DataError) as caught:
        CIFARArchive(data_root, **arguments)
    return str(caught.value)


class TestValues:
    def test_planes_are_red_green_blue(self, root):
        dataset = CIFARArchive(root)
        assert len(dataset) == 2
        first, second = dataset[0]['img'], dataset[1]['img']
        assert first.shape == (32, 32, 3) and first.dtype == np.uint8
        assert first[0, 0].tolist() == [0, 0, 100]
        assert first[3, 7].tolist() == [0, 3, 107]  # row 3, column 7
        assert second[31, 0].tolist() == [50, 31, 100]
        assert second[0, 31].tolist() == [50, 0, 131]

    def test_fine_labels(self, root):
        dataset = CIFARArchive(str(root))
        assert [(x['gt_label'], x['sample_idx']) for x in dataset] == [(2, 0), (0, 1)]
        assert type(dataset[0]['gt_label']) is int
        assert dataset.metainfo['classes'] == dataset.CLASSES == ('apple', 'bear', 'clock')
        assert dataset.get_cat_ids(0) == [2]

    def test_coarse_labels(self, root):
        dataset = CIFARArchive(root, labels='coarse')
        assert [x['gt_label'] for x in dataset] == [1, 0]
        assert dataset.metainfo['classes'] == ('living', 'things')

    def test_test_split(self, root):
        (sample,) = list(CIFARArchive(root, split='test'))
        assert sample['gt_label'] == 1 and sample['img'][2, 4].tolist() == [50, 2, 104]

    def test_base_dataset_arguments(self, root):
        dataset = CIFARArchive(root, indices=[1], metainfo=dict(classes=('a', 'b', 'c')))
        assert [x['gt_label'] for x in dataset] == [0]
        assert dataset.metainfo['classes'] == ('a', 'b', 'c')
        lazy = CIFARArchive(root, lazy_init=True, serialize_data=False)
        lazy.full_init()
        lazy[0]['img'][:] = 9  # a pipeline's edit stays in the sample
        assert lazy[0]['img'][0, 0].tolist() == [0, 0, 100]

    def test_found_in_any_scope(self, root):
        for scope in ('mmseg', 'mmrazor'):
            with DefaultScope.overwrite_default_scope(scope):
                dataset = DATASETS.build(dict(type=TYPE, data_root=str(root)))
                assert type(dataset) is CIFARArchive

    @pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickles_of_python_3(self, root, two_images, with_train, protocol):
        for keys in ('text', 'bytes'):
            content = {
                'data': two_images,
                'fine_labels': [np.int64(1), 2],
                'filenames': [b'a', b'b'],
            }
            if keys == 'bytes':
                content = {key.encode(): value for key, value in content.items()}
            with_train(pickle.dumps(content, protocol))
            samples = list(CIFARArchive(root))
            assert [x['gt_label'] for x in samples] == [1, 2]
            assert samples[1]['img'][3, 7].tolist() == [50, 3, 107]


class TestPlaces:
    @pytest.mark.parametrize('name', [ARCHIVE, 'cifar-100-python.tgz', 'cifar-100-python.tar'])
    @pytest.mark.parametrize('split, labels', [('train', 'fine'), ('test', 'coarse')])
    def test_archive_equals_folder(
        self, root, tmp_path, cifar_files, write_cifar, name, split, labels
    ):
        archive = write_cifar(tmp_path / 'a' / name, cifar_files)
        places = [root, root / 'cifar-100-python', archive, archive.parent]
        first, *others = [CIFARArchive(place, split, labels) for place in places]
        for other in others:
            assert other.metainfo == first.metainfo and len(other) == len(first) > 0
            for one, two in zip(first, other):
                assert np.array_equal(one['img'], two['img'])
                assert one['gt_label'] == two['gt_label']

    def test_any_name_of_an_archive(self, archive):
        archive = archive.rename(archive.with_name('mine.tar.gz'))
        assert len(CIFARArchive(archive)) == 2

    def test_archive_where_the_folder_is_incomplete(self, root, archive):
        (root / 'cifar-100-python/test').unlink()
        (root / ARCHIVE).write_bytes(archive.read_bytes())
        assert len(CIFARArchive(root, split='test')) == 1

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError) as caught:
            CIFARArchive(tmp_path / 'none')
        assert str(caught.value) == (
            f'data_root: there is no {tmp_path}/none; it must be cifar-100-python/, an archive '
            f'such as {ARCHIVE}, or the folder that holds one of them'
        )

    def test_other_folder(self, tmp_path):
        for name in 'hgfedcba':
            (tmp_path / name).touch()
        with pytest.raises(FileNotFoundError) as caught:
            CIFARArchive(tmp_path)
        assert str(caught.value) == (
            f'data_root: {tmp_path} has neither cifar-100-python/ with train, meta nor {ARCHIVE}; '
            'it has a, b, c, d, e, f and 2 more'
        )

    def test_split_that_is_not_there(self, root, tmp_path, cifar_files, write_cifar):
        (root / 'cifar-100-python/test').unlink()
        with pytest.raises(FileNotFoundError) as caught:
            CIFARArchive(root, split='test')
        assert str(caught.value) == (
            f"data_root: {root}/cifar-100-python has no 'test'; it has meta, train"
        )
        archive = write_cifar(tmp_path / 'a.tar', {'train': cifar_files['train']})
        assert error_of(archive, split='test') == (
            f'{archive} has no cifar-100-python/test and no cifar-100-python/meta; it has '
            'cifar-100-python/train'
        )

    @pytest.mark.parametrize(
        'arguments, text',
        [
            (dict(split='val'), "split must be one of train, test, got 'val'"),
            (dict(labels='both'), "labels must be one of fine, coarse, got 'both'"),
            (dict(data_root=''), "data_root must be a path, got ''"),
            (dict(data_root=None), 'data_root must be a path, got None'),
        ],
    )
    def test_arguments(self, root, arguments, text):
        with pytest.raises(ValueError) as caught:
            CIFARArchive(**{'data_root': root, **arguments})
        assert str(caught.value) == text


class TestArchiveFaults:
    def test_truncated(self, archive):
        archive.write_bytes(archive.read_bytes()[:200])
        assert error_of(archive) == (
            f'{archive} cannot be read (Compressed file ended before the end-of-stream marker was '
            'reached): it is damaged, truncated or no archive such as '
            f'{ARCHIVE}, which has the md5 {MD5} as published'
        )

    def test_no_archive(self, archive):
        archive.write_bytes(b'not found\n' * 100)
        assert error_of(archive.parent).startswith(
            f'{archive} cannot be read (file could not be opened successfully): it is damaged'
        )

    def test_path_that_leads_outside(self, tmp_path, cifar_files, write_cifar):
        archive = write_cifar(tmp_path / 'a.tar', {'../../x': b'', **cifar_files})
        assert 'is refused: its member' in error_of(archive)

    def test_fault_in_a_file_names_it_within_the_archive(self, tmp_path, cifar_files, write_cifar):
        archive = write_cifar(tmp_path / 'a.tar', {**cifar_files, 'train': b'?'})
        assert error_of(archive).startswith(f'{archive}/train cannot be read (')


class TestFileFaults:
    @pytest.mark.parametrize('content', [b'', b'hello', b'\x80\x02}('])
    def test_no_pickle(self, root, with_train, content):
        path = with_train(content)
        found = error_of(root)
        assert found.startswith(f'{path} cannot be read (')
        assert found.endswith('): it is damaged, truncated or no pickle') and '\n' not in found

    def test_truncated(self, root, with_train, cifar_files):
        path = with_train(cifar_files['train'][:-100])
        assert error_of(root).startswith(f'{path} cannot be read (pickle data was truncated): ')

    @pytest.mark.parametrize('file', ['train', 'meta'])
    def test_code_is_not_run(self, root, with_train, tmp_path, two_images, file):
        marker = tmp_path / 'ran'
        bad = pickle.dumps({'data': two_images, 'fine_labels': [Marker(marker), 0]})
        path = with_train(bad, file)
        with pytest.raises(PickledCodeError) as caught:
            CIFARArchive(root)
        assert str(caught.value) == (
            f'{path} is refused: its pickle asks for {os.name}.system, and only safe content '
            '(dicts, lists, numbers, text, bytes, numpy arrays) is read; nothing of it was run'
        )
        assert not marker.exists()
        pickle.loads(bad)  # it would have
        assert marker.read_text() == 'ran\n'

    @pytest.mark.parametrize(
        'pickled, asks',
        [
            (b'cbuiltins\neval\n(X\x01\x00\x00\x001tR.', 'builtins.eval'),
            (b'c_codecs\nencode\n(X\x01\x00\x00\x001X\x03\x00\x00\x00hextR.', "encoding 'hex'"),
            (b'cnumpy\nload\n.', 'numpy.load'),
            (b'Pname\n.', 'an object outside of it'),
        ],
    )
    def test_other_calls(self, root, with_train, pickled, asks):
        with_train(pickled)
        with pytest.raises(PickledCodeError, match=asks):
            CIFARArchive(root)

    @pytest.mark.parametrize(
        'change, text',
        [
            ([], ' must hold a dict with data, fine_labels, got list'),
            ({'data': None}, ' has no data; it has fine_labels, other'),
            ({'data': None, 'fine_labels': None}, ' has no data and no fine_labels; it has other'),
            ({'data': [1]}, ', got list'),
            ({'data': np.zeros((2, 3072))}, ', got float64 (2, 3072)'),
            ({'data': np.zeros((2, 3, 32, 32), np.uint8)}, ', got uint8 (2, 3, 32, 32)'),
            (
                {'data': np.zeros((2, 1024), np.uint8)},
                ': data must be uint8 (N, 3072), the planes R, G and B of 32 x 32, got uint8 '
                '(2, 1024)',
            ),
            ({'data': np.zeros((0, 3072), np.uint8)}, ': data holds no image'),
            ({'fine_labels': [1]}, ': counts that must be one differ: data 2, fine_labels 1'),
            (
                {'filenames': [b'a']},
                ': counts that must be one differ: data 2, fine_labels 2, filenames 1',
            ),
            ({'fine_labels': 3}, ': fine_labels must be a list of integers, got int'),
            ({'fine_labels': [0, 'b']}, ": fine_labels must be a list of integers, got 'b' in it"),
            ({'fine_labels': [0.5, 1]}, ': fine_labels must be a list of integers, got 0.5 in it'),
            (
                {'fine_labels': [3, -1]},
                ': fine_labels must be 0 to 2 for the 3 names in meta, got -1, 3',
            ),
        ],
    )
    def test_other_layout(self, root, with_train, two_images, change, text):
        content = {'data': two_images, 'fine_labels': [0, 1], 'other': b''}
        if isinstance(change, dict):
            content.update(change)
            change = {key: value for key, value in content.items() if value is not None}
        path = with_train(change)
        found = error_of(root)
        assert found.startswith(f'{path}') and found.endswith(text)

    @pytest.mark.parametrize(
        'content, text',
        [
            ({'coarse_label_names': [b'a']}, ' has no fine_label_names; it has coarse_label_names'),
            ({'fine_label_names': b'a'}, ': fine_label_names must be a list of names, got bytes'),
            ({'fine_label_names': ['a', 1]}, ' must be a list of names, got 1 in it'),
            ({'fine_label_names': []}, ': fine_label_names holds no name'),
        ],
    )
    def test_meta(self, root, with_train, content, text):
        path = with_train(content, 'meta')
        found = error_of(root)
        assert found.startswith(f'{path}') and found.endswith(text)


class TestMd5:
    """With ``check_md5`` only the published files are read; here none is."""

    def test_archive(self, archive):
        found = error_of(archive, check_md5=True)
        assert found.startswith(f'{archive} has the md5 ')
        official = f'{ARCHIVE} as published {MD5}'
        assert found.endswith(f', {official}: it is damaged, incomplete or other data')

    def test_folder(self, root):
        found = error_of(root, check_md5=True, split='test')
        assert found.startswith(f'{root}/cifar-100-python/test has the md5 ')
        assert 'test as published f0ef6b0ae62326f3e7ffdfab6717acfc' in found

    def test_right_ones(self, root, archive, monkeypatch):
        files = {name: root / f'cifar-100-python/{name}' for name in ('train', 'test', 'meta')}
        md5 = {
            name: hashlib.md5(path.read_bytes()).hexdigest()
            for name, path in {**files, ARCHIVE: archive}.items()
        }
        monkeypatch.setattr(cifar_source, 'OFFICIAL_MD5', md5)
        for place in (root, archive):
            for split, count in (('train', 2), ('test', 1)):
                assert len(CIFARArchive(place, split, check_md5=True)) == count


@pytest.mark.mmpretrain
def test_in_an_mmpretrain_pipeline(root):
    """mmpretrain's own config of CIFAR-100, told no more than our data set: R, G, B stays."""
    import mmpretrain
    from mmengine import Config
    from mmengine.dataset import pseudo_collate

    cfg = Config.fromstring("_base_ = 'mmpretrain::_base_/datasets/cifar100_bs16.py'", '.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        train, test = (
            DATASETS.build(dict(cfg[f'{part}_dataloader'].dataset, type=TYPE, data_root=str(root)))
            for part in ('train', 'test')
        )
        preprocess = mmpretrain.registry.MODELS.build(
            dict(type='ClsDataPreprocessor', **cfg.data_preprocessor)
        )
    assert train[0]['inputs'].shape == (3, 32, 32)  # cropped from 40 x 40, perhaps flipped
    assert train[0]['data_samples'].gt_label.tolist() == [2]
    batch = preprocess(pseudo_collate([test[0]]))
    assert batch['data_samples'][0].gt_label.tolist() == [1]
    red, green, blue = batch['inputs'][0, :, 3, 7].tolist()
    assert red == pytest.approx((50 - 129.304) / 68.170, abs=1e-5)
    assert green == pytest.approx((3 - 124.070) / 65.392, abs=1e-5)
    assert blue == pytest.approx((107 - 112.434) / 70.418, abs=1e-5)
