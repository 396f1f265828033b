"""The demo, small: the command, its lines, its table and its picture."""

import hashlib
import re
from pathlib import Path

import numpy as np
import torch
from mmengine import Config
from mmseg.registry import MODELS
from PIL import Image

from mmrazor_tat import config_path
from mmrazor_tat.benchmark import demo
from mmrazor_tat.datasets.toy_scenes import PALETTE


def test_the_shipped_teacher(repo):
    """The file is the one that the README names, small, and plain weights of the demo's teacher."""
    path = Path(config_path(demo.TEACHER))
    assert (
        hashlib.sha256(path.read_bytes()).hexdigest() in (repo / 'docs/get_started.md').read_text()
    )
    assert path.stat().st_size < 5e6
    state = torch.load(path, weights_only=True)
    model = MODELS.build(Config.fromfile(config_path('small/demo/teacher.py')).model)
    assert state.keys() == model.state_dict().keys()
    assert {x.dtype for x in state.values()} == {torch.float16, torch.int64}


def test_progress(demo_run):
    _, log = demo_run
    for name in ('teacher', 'student', 'TaT student'):
        lines = re.findall(rf'^{name} +(\d)/4  (.*)  \d+:\d\d left$', log, re.M)
        assert [number for number, _ in lines] == ['1', '2', '3', '4']
        assert all(re.search(r'loss \d+\.\d{3}', losses) for _, losses in lines)
    assert 'distill.loss_tat' in log
    # No wall of warnings, environment reports or configs.
    assert len(log.splitlines()) <= 25, log


def test_table(demo_run):
    work_dir, log = demo_run
    rows = re.findall(r'^(teacher|student|TaT student) +([\d.]+) +([\d.]+) M *[\d.]*$', log, re.M)
    assert [name for name, *_ in rows] == ['teacher', 'student', 'TaT student']
    miou, millions = zip(*((float(a), float(b)) for _, a, b in rows))
    assert all(0 <= value <= 100 for value in miou)
    assert millions[1] == millions[2] < millions[0]
    for name in ('teacher', 'student', 'tat_student'):  # the same budget
        assert (work_dir / name / 'iter_4.pth').exists()
    assert f'Report: {work_dir / "report.html"}' in log


def test_picture(demo_run):
    work_dir, log = demo_run
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


def test_attention(demo_run):
    """The picture by itself: a marked point, and heat in the colour of the maximum."""
    work_dir, _ = demo_run
    picture = np.array(Image.open(work_dir / 'attention.png').convert('RGB')).astype(int)
    vermilion = abs(picture - [0xD5, 0x5E, 0x00]).sum(-1) < 12
    assert vermilion.sum() > 50
    assert picture.shape[1] > 600 and picture.std() > 30
