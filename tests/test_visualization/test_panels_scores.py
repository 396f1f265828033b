"""Scores of several networks on the same images, and the choice of those that are shown."""

import copy

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric

from mmrazor_tat import config_path
from mmrazor_tat.utils.networks import trained_model
from mmrazor_tat.visualization.panels import Network, NetworkScores, compare, plain_network
from mmrazor_tat.visualization.panels.compare import choose, differences
from mmrazor_tat.visualization.panels.results import count_pixels

LABEL = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 255, 255], [2, 2, 255, 255]])
SIZES = [(64, 64), (61, 97), (88, 70), (64, 64)]  # of toy_voc's validation images
PREDICTION = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [2, 2, 3, 3], [0, 2, 0, 0]])


def scores_of(image_miou, name='distilled student', role='student') -> NetworkScores:
    """Scores whose images have this mIoU: one class, 100 pixels; None: nothing but ignored."""
    counts = np.array([[0, 0] if m is None else [m, 100] for m in image_miou])
    return NetworkScores(name, role, counts[:, :1], counts[:, 1:])


def test_an_image_worked_out_by_hand():
    counts = [count_pixels(PREDICTION, LABEL, num_classes=4, ignore_index=255)]
    # Class 3 is predicted among ignored pixels only: it does not occur.
    assert counts[0][0].tolist() == [3, 4, 3, 0] and counts[0][1].tolist() == [5, 5, 4, 0]
    # Here one pixel that counts is class 3, and none has the label 3: an IoU of 0.
    wrong = PREDICTION.clone()
    wrong[0, 0] = 3
    counts.append(count_pixels(wrong, LABEL, 4, 255))
    counts.append(count_pixels(PREDICTION, torch.full((4, 4), 255), 4, 255))
    scores = NetworkScores('n', 'student', *(np.stack(c) for c in zip(*counts)))
    first, second, ignored = scores.image_miou
    assert first == pytest.approx(100 * (3 / 5 + 4 / 5 + 3 / 4) / 3)
    assert second == pytest.approx(100 * (2 / 5 + 4 / 5 + 3 / 4 + 0) / 4)
    assert np.isnan(ignored)
    assert scores.class_iou == pytest.approx([100 * 5 / 10, 80, 75, 0])
    assert scores.miou == pytest.approx((50 + 80 + 75 + 0) / 4)
    # Another ignore index: the label 255 is no class, but counts.
    intersection, union = count_pixels(PREDICTION, LABEL, num_classes=4, ignore_index=1)
    assert intersection.tolist() == [3, 0, 3, 0] and union.tolist() == [3 + 3 + 1, 1, 4, 2]


@pytest.fixture(scope='module')
def cfg(toy_voc):
    cfg = Config.fromfile(config_path('small/demo/student.py'))
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.val_dataloader.dataset.data_root = str(toy_voc)
    return cfg


@pytest.fixture
def checkpoints(cfg, tmp_path):
    """Two of random weights that predict several classes."""
    paths = []
    for seed in (5, 9):
        torch.manual_seed(seed)
        model = trained_model(copy.deepcopy(cfg))
        torch.nn.init.normal_(model.decode_head.conv_seg.weight)
        paths.append(str(tmp_path / f'{seed}.pth'))
        torch.save(dict(state_dict=model.state_dict(), meta={}), paths[-1])
    return paths


def test_overall_scores_are_those_of_mmseg_s_metric(cfg, checkpoints, tmp_path, monkeypatch):
    networks = [
        plain_network(cfg, checkpoints[0], 'student'),
        plain_network(cfg, checkpoints[1], 'plain student', 'plain'),
    ]
    seen = []
    comparison = compare(cfg, networks, progress=lambda *done: seen.append(done))
    assert [s.role for s in comparison.scores] == ['plain', 'student']
    assert comparison.num_images == 4 and seen == [(k, 4) for k in (1, 2, 3, 4)]

    of_classes = []
    original = IoUMetric.total_area_to_metrics

    def record(self, *args, **kwargs):
        metrics = original(*args, **kwargs)
        of_classes.append(100 * metrics['IoU'])
        return metrics

    monkeypatch.setattr(IoUMetric, 'total_area_to_metrics', record)
    for checkpoint, scores in zip(reversed(checkpoints), comparison.scores):
        run = copy.deepcopy(cfg)
        run.update(work_dir=str(tmp_path), load_from=checkpoint, log_level='ERROR')
        run.visualizer.name = run.experiment_name = f'panels_{scores.role}'
        metrics = Runner.from_cfg(run).val()
        assert scores.miou == pytest.approx(metrics['mIoU'], abs=0.0051)  # that one is rounded
        assert scores.class_iou == pytest.approx(of_classes[-1], abs=1e-3, nan_ok=True)
        assert (scores.class_iou > 1).sum() > 1  # there was something to compare

    # What is shown is what was counted.
    for sample in comparison.samples:
        shown = zip(comparison.scores, sample.predictions, sample.miou, strict=True)
        for scores, prediction, miou in shown:
            maps = (torch.from_numpy(m) for m in (prediction, sample.label))
            counts = count_pixels(*maps, len(comparison.classes), 255)
            assert counts[0].tolist() == scores.intersection[sample.index].tolist()
            assert miou == scores.image_miou[sample.index]
        assert sample.difference == pytest.approx(sample.miou[1] - sample.miou[0])
        size = SIZES[sample.index]
        assert sample.name == f'val_{sample.index:05d}' and sample.image.shape == (*size, 3)
        assert sample.label.shape == size and {p.shape for p in sample.predictions} == {size}
    assert sorted(s.index for s in comparison.samples) == [0, 1, 2, 3]

    assert compare(cfg, networks, count=1, num_images=2).num_images == 2


def test_planted_gains():
    plain = scores_of([50, 50, 50, 50, 50, None, 50], 'plain student', 'plain')
    student = scores_of([60, 20, 90, 50, 45, None, 60])
    assert differences([plain, student]).tolist()[:5] == [10, -30, 40, 0, -5]
    best, worst = choose([plain, student], count=5)
    assert best == ('Best gains: distilled student over plain student', [2, 0, 6])
    assert worst == ('Worst gains: distilled student over plain student', [1, 4])
    (only,) = choose([plain, student], count=1)
    assert only[1] == [2]
    # No image is shown twice.
    plain, student = scores_of([50] * 4, 'plain', 'plain'), scores_of([70, 60, 50, None])
    assert [shown for _, shown in choose([plain, student], count=8)] == [[0, 1], [2]]


def test_what_is_shown_without_a_plain_student():
    teacher = scores_of([80, 80, 80, 80], 'teacher', 'teacher')
    largest, smallest = choose([teacher, scores_of([70, 20, 90, 79])], count=4)
    assert largest == ('Largest deficit of the distilled student to the teacher', [1, 0])
    assert smallest == ('Smallest deficit of the distilled student to the teacher', [2, 3])
    lowest, highest = choose([scores_of([30, 20, 90, 40], 'prediction')], count=2)
    assert lowest == ('Lowest mIoU of the prediction', [1])
    assert highest == ('Highest mIoU of the prediction', [2])


def network(role='student', num_classes=7, shape=None, name='distilled student') -> Network:
    """One that sees background everywhere, in maps of the labels' sizes or of ``shape``."""

    def step(batch):
        samples = [copy.copy(s) for s in batch['data_samples']]
        for sample in samples:
            size = shape or sample.ori_shape
            sample.pred_sem_seg = PixelData(data=torch.zeros((1, *size), dtype=torch.int64))
        return samples

    return Network(name, role, step, num_classes)


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        (dict(count=0), 'count must be at least 1, got 0'),
        (dict(num_images=-2), 'num_images must be at least 1, got -2'),
        (
            dict(networks=[network(num_classes=21)]),
            r'the distilled student has 21 classes, the validation data 7 \(background, disc, '
            r'ring, ...\): they cannot be compared$',
        ),
        (
            dict(networks=[network('teacher', 19, name='teacher'), network()]),
            'the teacher has 19 classes, .*--no-teacher',
        ),
        (
            dict(networks=[network(shape=(32, 16))]),
            'predicts 32 x 16 for .*val_00000.jpg.*label is 64 x 64.*LoadAnnotations comes after',
        ),
    ],
)
def test_what_does_not_fit(cfg, arguments, error):
    arguments = {'networks': [network()], **arguments}
    with pytest.raises(ValueError, match=error):
        compare(cfg, **arguments)


def test_data_that_does_not_serve(cfg, tmp_path):
    def refused(kind, error, change):
        other = copy.deepcopy(cfg)
        change(other)
        with pytest.raises(kind, match=error):
            compare(other, [network()])

    def dataset(**settings):
        return lambda other: other.val_dataloader.dataset.update(settings)

    refused(ValueError, 'no val_dataloader', lambda other: other.update(val_dataloader=None))
    refused(FileNotFoundError, 'data_root=PATH', dataset(data_root=str(tmp_path)))
    pipeline = [p for p in cfg.val_dataloader.dataset.pipeline if p.type != 'LoadAnnotations']
    refused(ValueError, 'images have no labels', dataset(pipeline=pipeline))
    refused(ValueError, 'has no images', dataset(indices=0))


def test_the_evaluator_s_ignore_index(cfg):
    """A network that sees background everywhere: with the background ignored nothing is right."""
    other = copy.deepcopy(cfg)
    other.val_evaluator.ignore_index = 0
    (scores,) = compare(other, [network()]).scores
    assert scores.miou == 0 and compare(cfg, [network()]).scores[0].class_iou[0] > 50
