"""The soak: its verdict on made series, its page and picture, and that no tensor stays alive."""

import copy
import json
import random

import pytest
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, save_checkpoint

from mmrazor_tat.benchmark.timing.soak import (
    Limits,
    MemorySample,
    MemorySampleHook,
    Soak,
    check_soak,
    judge,
    read_memory,
    save_soak,
    slope,
)
from mmrazor_tat.datasets.toy_cifar import write_toy_cifar
from mmrazor_tat.utils.config_settings import set_crop_size, set_data_root

MIB = 2**20


def series(
    growth: float = 0.0,
    noise: float = 0.0,
    tensors: float = 0.0,
    objects: float = 0.0,
    children: float = 0.0,
    warm_up: float = 0.0,
) -> list[MemorySample]:
    """Of 2,000 iterations; all growth is in 1,000."""
    rng = random.Random(0)
    return [
        MemorySample(
            k,
            int(MIB * (500 + growth * k / 1000 + warm_up * min(k, 900) + rng.gauss(0, noise))),
            int(MIB * (300 + children * k / 1000)) if children else 0,
            int(800 + tensors * k / 1000),
            int(400_000 + objects * k / 1000),
        )
        for k in range(20, 2001, 20)
    ]


class TestVerdict:
    def test_flat(self):
        verdict = judge(series())
        assert verdict.is_flat and verdict.start == 1000 and verdict.children is None
        assert (verdict.resident, verdict.tensors, verdict.objects) == (0, 0, 0)

    def test_noise_and_warm_up_are_no_growth(self):
        verdict = judge(series(noise=5, warm_up=0.2))
        assert verdict.is_flat and abs(verdict.resident) < 4

    def test_growth_is_found_in_noise(self):
        verdict = judge(series(growth=20, noise=5))
        assert verdict.resident == pytest.approx(20, abs=4)
        assert verdict.grows == (
            f'resident memory by {verdict.resident:.1f} MiB (expected 0.0, limit 8 more)',
        )

    def test_a_jump_is_no_growth(self):
        """A heap that a picture has enlarged once."""
        jump = [
            MemorySample(s.iteration, s.resident + (s.iteration > 1700) * 40 * MIB, 0, 800, 1)
            for s in series()
        ]
        assert judge(jump).is_flat

    def test_what_is_expected_is_let_pass(self):
        assert not judge(series(growth=10)).is_flat
        assert judge(series(growth=10), expected_mib=3).is_flat
        assert judge(series(growth=10), Limits(mib=11)).is_flat

    @pytest.mark.parametrize(
        'growth, text',
        [
            (dict(tensors=100), 'live tensors by 100 (limit 5)'),
            (dict(objects=2000), 'Python objects by 2,000 (limit 500)'),
            (dict(children=20), "the workers' memory by 20.0 MiB (limit 8)"),
        ],
    )
    def test_of_everything(self, growth, text):
        assert judge(series(**growth)).grows == (text,)

    def test_too_few_samples(self):
        with pytest.raises(ValueError, match='^3 samples to judge, from iteration 1960 on'):
            judge(series(), start=1960)
        with pytest.raises(ValueError, match='^0 samples'):
            judge([])

    def test_the_slope(self):
        """A median: of five points one may lie anywhere."""
        assert slope([0, 1, 2, 3, 4], [0, 2, 100, 6, 8]) == 2


@pytest.mark.parametrize(
    'settings, text',
    [
        ((199, 1, 0), 'iterations must be at least 200, got 199'),
        ((200, 11, 0), 'interval must be from 1 to 10, so that 200 .* give 20 samples, got 11'),
        ((200, 0, 0), 'interval must be from 1 to 10'),
        ((200, 10, -1), 'workers must be at least 0, got -1'),
    ],
)
def test_settings_out_of_range(settings, text):
    with pytest.raises(ValueError, match=text):
        check_soak(*settings)


def test_page_and_picture(tmp_path):
    samples = series(growth=20, children=1)
    events = dict(validation=[1000, 2000], checkpoint=[1000, 2000])
    machine = dict(processor='CPU', cores=2, threads=1, torch='2')
    soak = Soak(
        2000, 20, 1, 0, 39, samples, events, ['loss_tat'], machine, Limits(), judge(samples)
    )
    paths = save_soak(soak, tmp_path / 'soak', 'python tools/soak_memory.py')
    assert [path.name for path in paths] == ['soak.json', 'soak.png', 'soak.md']
    found = json.loads(paths[0].read_text())
    assert found['is_flat'] is False and found['samples']['iteration'][:2] == [20, 40]
    assert found['verdict']['resident'] == pytest.approx(20, abs=0.1)
    text = paths[2].read_text()
    assert text.startswith('# A soak of 2,000 iterations: memory grows\n')
    assert '| resident memory, MiB | 500.4 | 540.0 | +20.00 | 0.00 + 8 |' in text
    assert '**Grows**: resident memory by 20.0 MiB' in text and '](soak.png)' in text
    assert paths[1].read_bytes().startswith(b'\x89PNG')


def test_a_tensor_that_stays_is_seen():
    before = read_memory()
    import torch

    kept = [torch.ones(2**25) for _ in range(2)]  # more than the process has free
    after = read_memory()
    assert after.tensors - before.tensors == len(kept)
    assert after.resident - before.resident > 200 * MIB


def live_tensors(cfg: Config, work_dir) -> list[int]:
    """After 20, 40 and 60 iterations."""
    cfg.work_dir, cfg.log_level = str(work_dir), 'ERROR'
    cfg.experiment_name = cfg.visualizer.name = f'soak_{work_dir.name}'
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False, save_best=None)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.gradient_share = dict(type='mmrazor.GradientShareHook', interval=7)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.update(max_iters=60, val_interval=1000)
    file = str(work_dir / 'teacher.pth')
    save_checkpoint(dict(state_dict=MODELS.build(cfg.model.teacher).state_dict()), file)
    cfg.model.teacher_ckpt = file
    runner, hook = Runner.from_cfg(cfg), MemorySampleHook(20)
    runner.register_hook(hook)
    runner.train()
    return [sample.tensors for sample in hook.samples]


@pytest.mark.parametrize('name', ['tat_student', 'review-kd_student'])
def test_no_tensor_stays_alive(name, repo, toy_voc, tmp_path):
    cfg = Config.fromfile(repo / f'configs/small/demo/{name}.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(toy_voc)
    set_crop_size(cfg, (32, 32))
    cfg.model.teacher = copy.deepcopy(cfg.model.architecture)
    if name.startswith('tat'):
        cfg.model.distiller.distill_losses.loss_tat.lean = True
    else:
        cfg.model.distiller.connectors.fusion.mid_channel = 16
    first, *others = live_tensors(cfg, tmp_path)
    assert first > 100 and others == [first, first]


@pytest.mark.mmpretrain
def test_no_tensor_of_a_classifier_stays_alive(repo, tmp_path):
    """CRD: a memory, which is written anew in every iteration."""
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(repo / 'configs/small/demo_cifar/crd_student.py')
    set_data_root(cfg, write_toy_cifar(tmp_path / 'data', num_train=16, num_test=2))
    cfg.model.distiller.distill_losses.loss_crd.update(num_samples=16, num_negatives=8)
    first, *others = live_tensors(cfg, tmp_path)
    assert first > 100 and others == [first, first]
