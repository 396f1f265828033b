"""The demo, small: the command, its lines, its table and its picture."""

import re

import numpy as np
import pytest
from PIL import Image

from mmrazor_tat.datasets.toy_scenes import PALETTE


@pytest.fixture(scope='module')
def ran(repo, command, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('demo')
    sizes = ['--iterations', 4, '--num-train', 16, '--num-val', 6]
    return work_dir, command(repo / 'tools/demo.py', '--work-dir', work_dir, *sizes)


def test_progress(ran):
    _, log = ran
    for name in ('teacher', 'student', 'TaT student'):
        lines = re.findall(rf'^{name} +(\d)/4  (.*)  \d+:\d\d left$', log, re.M)
        assert [number for number, _ in lines] == ['1', '2', '3', '4']
        assert all(re.search(r'loss \d+\.\d{3}', losses) for _, losses in lines)
    assert 'distill.loss_tat' in log


def test_nothing_else_is_printed(ran):
    """No wall of warnings, environment reports or configs."""
    _, log = ran
    assert len(log.splitlines()) <= 25, log


def test_table(ran):
    _, log = ran
    rows = re.findall(r'^(teacher|student|TaT student) +([\d.]+) +([\d.]+) M +[\d.]+$', log, re.M)
    assert [name for name, *_ in rows] == ['teacher', 'student', 'TaT student']
    miou, millions = zip(*((float(a), float(b)) for _, a, b in rows))
    assert all(0 <= value <= 100 for value in miou)
    assert millions[1] == millions[2] < millions[0]


def test_same_budget(ran):
    work_dir, _ = ran
    for name in ('teacher', 'student', 'tat_student'):
        assert (work_dir / name / 'iter_4.pth').exists()


def test_picture(ran):
    work_dir, log = ran
    picture = np.array(Image.open(work_dir / 'demo.png').convert('RGB'))
    assert picture.shape[0] > 1500 and picture.shape[1] > 1200  # six rows of six pictures
    # Every class in the labels of the scenes, all of which are shown, is painted in its colour.
    names = (work_dir / 'data/ImageSets/Segmentation/val.txt').read_text().split()
    shown = set()
    for name in names:
        label = np.array(Image.open(work_dir / f'data/SegmentationClass/{name}.png'))
        shown |= set(np.unique(label).tolist()) - {255}
    assert len(shown) > 3
    for index in shown:
        assert (picture == PALETTE[index]).all(-1).sum() > 100, index
