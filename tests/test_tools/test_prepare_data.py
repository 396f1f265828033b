"""The command: what it makes of its arguments, what it prints, how it ends."""

import io
import runpy
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mmrazor_tat.data_preparation import check, prepare
from mmrazor_tat.data_preparation.check import RootReport
from mmrazor_tat.data_preparation.layouts import DataError


@pytest.fixture
def run(repo, monkeypatch, capsys):
    """A function that runs the tool within this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['prepare_data.py', *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(repo / 'tools/prepare_data.py'), run_name='__main__')
        code, (out, err) = caught.value.code, capsys.readouterr()
        # Python itself prints a text that SystemExit is given, and makes it the code 1.
        return (1, out, f'{err}{code}\n') if isinstance(code, str) else (int(code), out, err)

    return run


@pytest.fixture
def called(monkeypatch):
    """The calls that reach the package: (name, positional arguments, keyword arguments)."""
    calls = []

    def record(name, result):
        def function(*args, **kwargs):
            kwargs.pop('say')('some progress')
            calls.append((name, args, kwargs))
            return result

        return function

    fine = RootReport('voc12aug', 'R', dict(train=1464), 1464, (), ())
    wrong = RootReport('voc12aug', 'R', dict(train=1464), 1464, ('missing files: 1',), ())
    monkeypatch.setattr(check, 'check_root', record('check', wrong))
    monkeypatch.setattr(prepare, 'prepare', record('prepare', fine))
    return calls


def test_prepare_voc(run, called):
    code, out, err = run('voc12aug', 'R', '--voc-archive', 'a.tar', '--sbd-archive', 'b.tgz')
    ((name, (kind, root, given), how),) = called
    assert (name, kind, root) == ('prepare', 'voc12aug', 'R')
    assert how == dict(subset=False, workers=None)
    assert [given[k] for k in ('VOCtrainval_11-May-2012.tar', 'benchmark.tgz')] == [
        'a.tar',
        'b.tgz',
    ]
    assert (code, err) == (0, '')
    assert out == (
        'some progress\n'
        'voc12aug root R is in order: train 1,464; 1,464 pairs of image and label read\n'
    )


def test_prepare_coco(run, called):
    run('coco-stuff10k', 'R', '--archive', 'c.zip', '--subset', '--workers', '3')
    ((name, (kind, root, given), how),) = called
    assert (kind, how) == ('coco-stuff10k', dict(subset=True, workers=3))
    assert given['cocostuff-10k-v1.1.zip'] == 'c.zip'


@pytest.mark.parametrize('kind', ['voc12aug', 'coco-stuff10k'])
def test_check(run, called, kind):
    code, out, err = run(kind, 'R', '--check', '--workers', '2')
    assert called == [('check', (kind, 'R'), dict(subset=False, workers=2))]
    assert (code, err) == (1, '')
    assert out == 'some progress\nvoc12aug root R is not in order:\n- missing files: 1\n'


@pytest.mark.parametrize(
    'error, text',
    [
        (DataError('no such folder'), 'prepare_data: no such folder\n'),
        (PermissionError(13, 'Permission denied', 'R'), "[Errno 13] Permission denied: 'R'\n"),
        (KeyboardInterrupt(), 'prepare_data: interrupted; run the same command again\n'),
    ],
)
def test_errors(run, monkeypatch, error, text):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(prepare, 'prepare', fail)
    code, out, err = run('voc12aug', 'R')
    assert (code, out) == (1, '')
    assert err.endswith(text) and err.startswith('prepare_data: ') and err.count('\n') == 1


def test_workers(run, tmp_path):
    assert run('voc12aug', tmp_path, '--workers', '0') == (
        1,
        '',
        'prepare_data: workers must be at least 1, got 0\n',
    )


def test_root_is_explained(run):
    for kind, owner, root in (
        ('voc12aug', 'mmseg', 'data/VOCdevkit/VOC2012'),
        ('coco-stuff10k', 'mmseg', 'data/coco_'),
    ):
        code, out, _ = run(kind, '--help')
        assert code == 0
        assert f"the data_root of {owner}'s config, e.g. {root}" in ' '.join(out.split())


def test_as_a_command(repo, command, tmp_path):
    """In a process of its own, converter and all; nothing but our lines and mmseg's last one."""
    with zipfile.ZipFile(tmp_path / 'cocostuff-10k-v1.1.zip', 'w') as archive:
        for name, split in (('a', 'train'), ('b', 'test')):
            image, annotation = io.BytesIO(), io.BytesIO()
            Image.new('RGB', (4, 3)).save(image, 'JPEG')
            savemat(annotation, dict(S=np.full((3, 4), 182, np.uint16)))
            archive.writestr(f'images/{name}.jpg', image.getvalue())
            archive.writestr(f'annotations/{name}.mat', annotation.getvalue())
            archive.writestr(f'imageLists/{split}.txt', name)
    root = tmp_path / 'coco_stuff10k'
    tool = repo / 'tools/prepare_data.py'
    log = command(
        tool, 'coco-stuff10k', 'coco_stuff10k', '--subset', '--workers', 1, cwd=tmp_path
    ).splitlines()
    first, second, last = log[0], log[1], log[-1]
    assert first == f'unpacking {tmp_path}/cocostuff-10k-v1.1.zip (0.0 GB)'
    assert second == 'converting the annotations'
    assert last == (
        f'coco-stuff10k root {root} is in order as a subset: train 1 of 9,000, test 1 of 1,000; '
        '2 pairs of image and label read'
    )
    label = Image.open(root / 'annotations/train2014/a_labelTrainIds.png')
    assert np.array_equal(label, np.full((3, 4), 171))
