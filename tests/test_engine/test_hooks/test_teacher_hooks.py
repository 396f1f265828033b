"""The teacher is tried before training, and evaluated beside the student."""

import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook

from mmrazor_tat.datasets.toy_scenes import write_toy_voc
from mmrazor_tat.engine.hooks import TeacherCheckHook

CHECK = dict(type='mmrazor.TeacherCheckHook', num_images=3)
EVALUATION = dict(type='mmrazor.TeacherEvaluationHook')


@pytest.fixture
def told(caplog):
    """The messages of the run's logger."""
    from mmengine.logging import MMLogger

    def told(runner):
        caplog.set_level('INFO')
        runner.logger.setLevel('INFO')
        runner.logger.addHandler(caplog.handler)
        MMLogger._instance_dict['told'] = runner.logger
        runner.train()
        return caplog.text

    return told


def miou_by_hand(model, loader, images: int) -> float:
    classes = len(loader.dataset.metainfo['classes'])
    confusion = torch.zeros(classes, classes, dtype=torch.float64)
    for number, data in enumerate(loader):
        if number == images:
            break
        batch = model.data_preprocessor(data, False)
        model.teacher.eval()
        with torch.no_grad():
            logits = model.teacher(batch['inputs'], batch['data_samples'], mode='tensor')
        logits = torch.nn.functional.interpolate(
            logits, size=batch['inputs'].shape[2:], mode='bilinear', align_corners=False
        )
        logits = torch.nn.functional.interpolate(  # the image was resized, its label was not
            logits, size=batch['data_samples'][0].ori_shape, mode='bilinear', align_corners=False
        )
        label = batch['data_samples'][0].gt_sem_seg.data[0].flatten()
        guess = logits[0].argmax(0).flatten()
        valid = label < classes
        pairs = label[valid] * classes + guess[valid]
        confusion += torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    hit = confusion.diag()
    iou = hit / (confusion.sum(0) + confusion.sum(1) - hit)
    return (100 * iou[~iou.isnan()].mean()).item()


def test_the_first_images_are_evaluated_and_logged(distillation, told):
    runner = distillation(1, **{'default_hooks.teacher_check': {**CHECK, 'floor': 0.0}})
    text = told(runner)
    found = re.search(r'the teacher has mIoU ([\d.]+) on the first 3 validation images', text)
    expected = miou_by_hand(runner.model, runner.val_dataloader, 3)
    assert float(found.group(1)) == pytest.approx(expected, abs=0.011)


def test_whole_batches_are_counted(distillation, told, tmp_path):
    same = write_toy_voc(tmp_path / 'one_size', num_train=0, num_val=4, size=(64, 64))
    settings = {
        'default_hooks.teacher_check': CHECK,
        'val_dataloader.batch_size': 4,
        'val_dataloader.dataset.data_root': str(same),
    }
    assert 'on the first 4 validation images' in told(distillation(1, **settings))


def test_below_the_floor_nothing_is_trained(distillation):
    runner = distillation(1, **{'default_hooks.teacher_check': {**CHECK, 'floor': 99}})
    message = (
        r'the teacher has mIoU [\d.]+ on the first 3 validation images, below the floor of 99 that '
        r"the recipe sets: check teacher_ckpt \('.*teacher.pth'\), the order of its classes"
    )
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


def test_before_anything_is_run(distillation):
    # A plain model is left alone.
    TeacherCheckHook(floor=99).before_train(SimpleNamespace(iter=0, model=SimpleNamespace()))
    with pytest.raises(ValueError, match='num_images must be a positive integer, got 0'):
        TeacherCheckHook(num_images=0)
    runner = SimpleNamespace(iter=0, cfg={}, model=SimpleNamespace(teacher_val_step=None))
    with pytest.raises(ValueError, match='TeacherCheckHook: the config has no val_dataloader'):
        TeacherCheckHook().before_train(runner)
    runner = distillation(1, **{'default_hooks.teacher_check': {**CHECK, 'metric': 'mIOU'}})
    with pytest.raises(ValueError, match="metric 'mIOU' is none of the validation: 'aAcc', 'mIoU'"):
        runner.train()


def test_side_by_side_and_the_best_by_the_student(distillation, tmp_path, monkeypatch):
    """A teacher that is the better one from the start, and still the student's best is kept."""
    settings = {
        'train_cfg.val_interval': 2,
        'default_hooks.checkpoint.save_best': 'mIoU',
        'default_hooks.teacher_evaluation': EVALUATION,
        'optim_wrapper.optimizer.lr': 0.0,
    }
    runner = distillation(4, **settings)
    calls, seen = [], []
    step = type(runner.model).teacher_val_step

    def counted(self, data):
        calls.append(data)
        return step(self, data)

    class Watch(Hook):
        priority = 'LOWEST'

        def after_val_epoch(self, runner, metrics=None):
            seen.append(dict(metrics))

    runner.register_hook(Watch())
    monkeypatch.setattr(type(runner.model), 'teacher_val_step', counted)
    runner.train()
    assert len(seen) == 2 and len(calls) == len(runner.val_dataloader)
    teacher = miou_by_hand(runner.model, runner.val_dataloader, 99)
    for metrics in seen:
        assert metrics['student/mIoU'] == metrics['mIoU']
        assert metrics['teacher/mIoU'] == pytest.approx(teacher, abs=0.011)
    assert seen[0]['teacher/mIoU'] != seen[0]['mIoU']
    best = max(metrics['mIoU'] for metrics in seen)
    assert runner.message_hub.get_info('best_score') == best
    assert list((tmp_path / 'run').glob('best_mIoU_iter_*.pth'))
