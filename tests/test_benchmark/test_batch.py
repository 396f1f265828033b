"""The batch of a run against the one that its learning rate is meant for: hand-worked."""

from types import SimpleNamespace

import pytest
from mmengine import Config

from mmrazor_tat.benchmark.suites.definition import load_suite
from mmrazor_tat.benchmark.suites.jobs import Key, batch_warning
from mmrazor_tat.benchmark.suites.options import SuiteError
from mmrazor_tat.benchmark.suites.plan import Plan
from mmrazor_tat.utils.batch import Batch


def batch(processes: int = 1, **changes) -> Batch:
    of = dict(images=4, accumulated=1, meant=16, config_lr=0.01, is_scaled=False)
    return Batch(processes, **{**of, **changes})


def test_what_is_read():
    cfg = Config(
        dict(
            train_dataloader=dict(batch_size=4),
            optim_wrapper=dict(accumulative_counts=2, optimizer=dict(lr=0.01)),
            auto_scale_lr=dict(enable=True, base_batch_size=16),
        )
    )
    found = Batch.of(cfg, processes=3)
    assert found == batch(3, accumulated=2, is_scaled=True)
    assert found.size == 24 and found.lr == pytest.approx(0.01 * 12 / 16)
    assert found.as_dict()['size'] == 24 and found.as_dict()['meant'] == 16
    assert Batch.of(Config(dict(model=dict())), 1) is None
    bare = Batch.of(Config(dict(train_dataloader=dict(batch_size=4))), 1)
    assert (bare.size, bare.lr, bare.meant, bare.fits) == (4, None, None, True)


@pytest.mark.parametrize(
    ('of', 'fits', 'lr'),
    [
        (batch(4), True, 0.01),
        (batch(1), False, 0.01),
        (batch(1, is_scaled=True), True, 0.0025),
        (batch(1, accumulated=4), True, 0.01),
        (batch(2, accumulated=2, is_scaled=True), False, 0.005),  # as mmengine has it
        (batch(1, meant=None), True, 0.01),
    ],
)
def test_which_batch_fits(of, fits, lr):
    assert (of.fits, of.lr) == (fits, lr)


def jobs(**batches):
    return [SimpleNamespace(key=Key(name, 0), batch=of) for name, of in batches.items()]


def test_one_warning_for_each_kind_of_batch():
    small, other = batch(), batch(images=6, meant=12, config_lr=0.004)
    runs = {**dict.fromkeys(['a', 'b', 'c', 'd', 'e'], small), 'm': other, 'f': batch(4), 'n': None}
    assert batch_warning(jobs(**runs)).splitlines() == [
        'warning: a, b, c and 2 more train with a batch of 4 (1 process x 4 images), but the '
        'learning rate 0.01 is meant for 16; scaled linearly it is 0.0025. Train with '
        '--launcher pytorch --processes 4, or --auto-scale-lr',
        'warning: m trains with a batch of 6 (1 process x 6 images), but the learning rate 0.004 '
        'is meant for 12; scaled linearly it is 0.002. Train with --launcher pytorch '
        '--processes 2, or --auto-scale-lr',
    ]
    assert batch_warning(jobs(a=small, b=small)).startswith('warning: all 2 runs train with')
    assert batch_warning(jobs(a=batch(4), b=None)) is None
    for images in (32, 5):  # no number of processes fits
        assert '. Train with --auto-scale-lr' in batch(images=images).complaint('{} processes')


def test_accumulated_iterations():
    """mmengine would scale by half of the batch: the flag is not recommended."""
    of = batch(1, accumulated=2)
    assert of.complaint() == (
        'a batch of 8 (1 process x 4 images x 2 accumulated iterations), but the learning rate '
        "0.01 is meant for 16; scaled linearly it is 0.005. mmengine's auto_scale_lr would scale "
        'it by processes x images alone, without the accumulated iterations: set '
        'optim_wrapper.optimizer.lr=0.005 yourself, without --auto-scale-lr'
    )
    assert 'auto_scale_lr has scaled it' in batch(2, accumulated=2, is_scaled=True).complaint()


MMSEG = """
title, metric, seeds, baseline = 'Two', 'mIoU', (0,), 'r18'
runs = {name: dict(config=f'students/deeplabv3_{net}-d8_4xb4-40k_voc12aug-512x512.py')
        for name, net in (('r18', 'r18'), ('other', 'mobilenet-v2'))}
"""


def test_a_suite_in_mmseg_s_protocol(tmp_path):
    """Meant for 4 processes x 4 images."""
    (tmp_path / 'two.py').write_text(MMSEG)
    suite = load_suite(str(tmp_path / 'two.py'))
    warning = batch_warning(Plan(suite, tmp_path).jobs())
    assert 'all 2 runs train with a batch of 4 (1 process x 4 images)' in warning
    assert batch_warning(Plan(suite, tmp_path, processes=4).jobs()) is None
    scaled = Plan(suite, tmp_path, {'auto_scale_lr.enable': True})
    assert batch_warning(scaled.jobs()) is None
    job, plain = scaled.job('r18', 0), Plan(suite, tmp_path).job('r18', 0)
    assert job.batch.lr == pytest.approx(plain.batch.lr / 4)
    assert job.options['auto_scale_lr.enable'] is True
    assert job.fingerprint != plain.fingerprint


def test_no_batch_to_scale_from(tmp_path):
    text = MMSEG.split('runs')[0].replace("'r18'", 'None')
    text += "runs = dict(a=dict(config='small/demo/student.py'))\n"
    (tmp_path / 'one.py').write_text(text)
    error = r"run 'a': auto_scale_lr.enable \(--auto-scale-lr\), but .*student.py has no"
    with pytest.raises(SuiteError, match=error):
        Plan(load_suite(str(tmp_path / 'one.py')), tmp_path, {'auto_scale_lr.enable': True}).jobs()
