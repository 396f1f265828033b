"""The root of CIFAR-100: made from an archive, and checked; every fault is provoked once."""

import hashlib

import numpy as np
import pytest

from mmrazor_tat.data_preparation import cifar_root
from mmrazor_tat.data_preparation.cifar_root import check_cifar100, prepare_cifar100
from mmrazor_tat.datasets import cifar_source
from mmrazor_tat.utils.archives import DataError

ARCHIVE = 'cifar-100-python.tar.gz'
FOLDER = 'cifar-100-python'


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def tree(folder):
    files = (path for path in folder.rglob('*') if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def archive(tmp_path, cifar_files, write_cifar):
    """Beside the root that it is for, with a file of the published one that nobody needs."""
    files = {'file.txt~': b'', **cifar_files}
    return write_cifar(tmp_path / 'data' / ARCHIVE, files)


@pytest.fixture
def root(tmp_path, cifar_files, write_cifar):
    return write_cifar(tmp_path / 'cifar100', cifar_files)


@pytest.fixture
def official(monkeypatch, archive, root):
    """As if the small files were the published ones."""
    names = {
        name: root / FOLDER / name if name != ARCHIVE else archive
        for name in cifar_source.OFFICIAL_MD5
    }
    monkeypatch.setattr(cifar_source, 'OFFICIAL_MD5', {n: md5(names[n]) for n in names})
    monkeypatch.setattr(cifar_root, '_COUNTS', {'train': 2, 'test': 1})
    monkeypatch.setattr(cifar_root, '_CLASSES', {'fine': 3, 'coarse': 2})
    monkeypatch.setattr(cifar_root, '_uneven_classes', lambda *_: [])  # 2 images of 3 classes


def test_official_figures():
    assert cifar_source.OFFICIAL_MD5 == {
        ARCHIVE: 'eb9058c3a382ffc7106e4002c42a8d85',
        'train': '16019d7e3df5f24257cddd939b257f8d',
        'test': 'f0ef6b0ae62326f3e7ffdfab6717acfc',
        'meta': '7973b15100ade9c7d40fb424638fde48',
    }
    assert cifar_root._COUNTS == {'train': 50000, 'test': 10000}
    assert cifar_root._CLASSES == {'fine': 100, 'coarse': 20}


class TestPrepare:
    def test_official(self, official, archive, cifar_files):
        said = []
        root = archive.parent / 'cifar100'
        report = prepare_cifar100(root, say=said.append)
        assert report.ok and report.notes == ()
        assert str(report) == (
            f'cifar100 root {root} is in order: train 2, test 1; 3 images and labels read'
        )
        assert said == [f'unpacking {archive} (0.0 GB)']
        assert tree(root) == {f'{FOLDER}/{name}': text for name, text in cifar_files.items()}
        assert check_cifar100(root) == report

    def test_complete_already(self, official, root, archive):
        archive.unlink()
        said = []
        assert prepare_cifar100(root, say=said.append).ok
        assert said == ['already complete, nothing to do']

    def test_damage_is_repaired(self, official, root, archive):
        whole = tree(root)
        (root / FOLDER / 'train').write_bytes(b'?')
        (root / 'notes.txt').write_bytes(b'mine')
        said = []
        assert prepare_cifar100(root, archive, say=said.append).ok
        assert 'train cannot be read' in said[0] and said[0].endswith('\nmaking it anew')
        assert tree(root) == {**whole, 'notes.txt': b'mine'}

    def test_other_archive_is_refused_before_anything_is_written(self, archive):
        root = archive.parent / 'cifar100'
        with pytest.raises(DataError) as caught:
            prepare_cifar100(root)
        assert str(caught.value) == (
            f'{archive} has the md5 {md5(archive)}, {ARCHIVE} as published '
            'eb9058c3a382ffc7106e4002c42a8d85: it is damaged, incomplete or other data; get it '
            'anew from the CIFAR page (--subset takes other data in its layout)'
        )
        assert not root.exists()

    def test_subset(self, archive):
        report = prepare_cifar100(archive.parent / 'new/cifar100', archive, subset=True)
        assert report.ok and len(report.notes) == 4
        assert str(report).endswith(
            'is in order as a subset: train 2 of 50,000, test 1 of 10,000; 3 images and labels read'
        )

    @pytest.mark.parametrize(
        'files, text',
        [
            ({'x': b''}, f'it has no {FOLDER}/ with train, test and meta'),
            ({'../../x': b''}, "its member 'cifar-100-python/../../x' would lie outside"),
            ({'train': b''}, 'is incomplete: it lacks test and 1 more'),
            (
                {'train': b'?', 'test': b'', 'meta': b''},
                'meta cannot be read (Ran out of input): it is damaged, truncated or no pickle',
            ),
        ],
    )
    def test_faults_leave_nothing_behind(self, tmp_path, write_cifar, files, text):
        archive = write_cifar(tmp_path / 'a.tar', files)
        with pytest.raises(DataError) as caught:
            prepare_cifar100(tmp_path / 'new/cifar100', archive, subset=True)
        assert text in str(caught.value) and str(caught.value).startswith(str(archive))
        assert sorted(path.name for path in tmp_path.iterdir()) == ['a.tar']

    def test_missing(self, tmp_path):
        root = tmp_path / 'cifar100'
        with pytest.raises(DataError) as caught:
            prepare_cifar100(root)
        assert str(caught.value) == (
            f'cifar100 needs {ARCHIVE} (from the CIFAR page; --archive if it lies elsewhere). '
            f'Nothing is downloaded; looked in {root}, {tmp_path}'
        )
        with pytest.raises(DataError, match=f'--archive: there is no {tmp_path}/none'):
            prepare_cifar100(root, tmp_path / 'none')

    def test_extracted_folder_is_no_archive(self, tmp_path, root):
        with pytest.raises(DataError, match='is a folder; --check checks what is extracted'):
            prepare_cifar100(tmp_path / 'new', root / FOLDER)

    @pytest.mark.parametrize('function', [prepare_cifar100, check_cifar100])
    def test_wrong_root(self, function, root):
        with pytest.raises(DataError) as caught:
            function(root / FOLDER)
        assert str(caught.value) == (
            f'{root / FOLDER} is one level too low, did you mean {root}? the root must be the '
            f'data_root of mmpretrain, .../cifar100, which holds {FOLDER}/'
        )
        with pytest.raises(DataError, match='train is a file; the root must be'):
            function(root / FOLDER / 'train')


class TestCheck:
    @pytest.fixture
    def cifar(self, tmp_path, python2_pickle, write_cifar):
        """A function that writes a root with the official counts; images are all black."""

        def cifar(fine=None, names=100, count=50000, coarse=None):
            fine = [k % 100 for k in range(count)] if fine is None else fine
            files = {
                'meta': python2_pickle(
                    {
                        'fine_label_names': [b'f%d' % k for k in range(names)],
                        'coarse_label_names': [b'c%d' % k for k in range(20)],
                    }
                ),
                'train': python2_pickle(
                    {
                        'fine_labels': fine,
                        'coarse_labels': [k % 20 for k in fine] if coarse is None else coarse,
                        'data': np.zeros((len(fine), 3072), np.uint8),
                    }
                ),
            }
            return write_cifar(tmp_path / 'cifar100', files)

        return cifar

    def problems(self, root, **how):
        return [
            text for text in check_cifar100(root, **how).problems if ' has the md5 ' not in text
        ]

    def test_small_data_is_not_the_published(self, root):
        report = check_cifar100(root)
        assert not report.ok and report.notes == ()
        lines = str(report).splitlines()
        assert lines[:5] == [
            f'cifar100 root {root} is not in order:',
            f'- fine_label_names in {FOLDER}/meta: 3, officially 100',
            f'- coarse_label_names in {FOLDER}/meta: 2, officially 20',
            f'- images in {FOLDER}/train: 2, officially 50,000',
            f'- images in {FOLDER}/test: 1, officially 10,000',
        ]
        assert [line[: line.index(' has the md5 ')] for line in lines[5:]] == [
            f'- {FOLDER}/{name}' for name in ('train', 'test', 'meta')
        ]
        assert '16019d7e3df5f24257cddd939b257f8d' in lines[5]

    def test_images_of_each_class(self, cifar, monkeypatch):
        monkeypatch.setattr(cifar_root, '_COUNTS', {'train': 200, 'test': 100})  # 2 and 1 a class
        right = [k % 100 for k in range(200)]
        missing = f'{FOLDER}/test is missing'
        assert self.problems(cifar(right)) == [missing]
        wrong = [*right[:-1], 7]
        assert self.problems(cifar(wrong, coarse=[k % 20 for k in right])) == [
            missing,
            f'fine classes of {FOLDER}/train with other than 2 images: 2\n    7: 3\n    99: 1',
        ]
        assert self.problems(cifar(right, coarse=[k % 20 for k in wrong])) == [
            missing,
            f'coarse classes of {FOLDER}/train with other than 10 images: 2\n    7: 11\n    19: 9',
        ]

    def test_labels_out_of_range(self, cifar):
        root = cifar([0, 100, -1, 100], coarse=[20, 0, 0, 0])
        titles = [
            f'fine_labels of {FOLDER}/train out of the range 0 to 99: 2\n    -1\n    100',
            f'coarse_labels of {FOLDER}/train out of the range 0 to 19: 1\n    20',
        ]
        assert self.problems(root)[-2:] == titles
        assert self.problems(root, subset=True)[-2:] == titles

    def test_range_is_that_of_the_names(self, cifar):
        assert self.problems(cifar([0, 9], names=10), subset=True) == [f'{FOLDER}/test is missing']
        assert self.problems(cifar([0, 10], names=10), subset=True)[-1].startswith(
            f'fine_labels of {FOLDER}/train out of the range 0 to 9: 1'
        )

    def test_one_damaged_file_hides_no_other(self, root):
        for name in ('test', 'meta'):
            (root / FOLDER / name).write_bytes(b'?')
        found = self.problems(root, subset=True)
        assert [text.partition(' ')[0] for text in found] == [f'{FOLDER}/meta', f'{FOLDER}/test']
        assert all('it is damaged, truncated or no pickle' in text for text in found)

    def test_changes_nothing(self, root):
        before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
        assert check_cifar100(root, subset=True).ok
        assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before

    def test_not_extracted(self, archive):
        with pytest.raises(DataError) as caught:
            check_cifar100(archive.parent)
        assert str(caught.value) == (
            f'{archive.parent} is not a cifar100 root (.../cifar100): it lacks {FOLDER}/; '
            f'{ARCHIVE} is there but not extracted, prepare it first'
        )
        with pytest.raises(DataError, match='none is not a cifar100 .*: there is no such folder$'):
            check_cifar100(archive.parent / 'none')
