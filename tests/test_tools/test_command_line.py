"""How the tools turn OpenMMLab's arguments into a config; the Runner itself is not run here."""

import runpy
import sys

import pytest
from mmengine.runner import Runner

from mmrazor_tat.utils import environment

CONFIG = 'configs/tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py'


@pytest.fixture
def run(repo, monkeypatch, tmp_path):
    """A function that runs a tool and gives the config that reached the Runner, and what it did."""

    def run(tool, *arguments):
        seen = {}

        class Recorder:
            def train(self):
                seen['did'] = 'train'

            def test(self):
                seen['did'] = 'test'

        def from_cfg(cfg):
            seen['cfg'] = cfg
            return Recorder()

        monkeypatch.setattr(Runner, 'from_cfg', from_cfg)
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        monkeypatch.setenv('LOCAL_RANK', '0')
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(repo / 'tools' / tool), run_name='__main__')
        return seen['cfg'], seen['did']

    return run


@pytest.fixture
def train(run, repo):
    return lambda *arguments: run('train.py', repo / CONFIG, *arguments)[0]


@pytest.fixture
def test(run, repo):
    return lambda *arguments: run('test.py', repo / CONFIG, 'some.pth', *arguments)[0]


class TestTrain:
    def test_without_arguments(self, run, repo):
        cfg, did = run('train.py', repo / CONFIG)
        assert did == 'train'
        assert cfg.work_dir == 'work_dirs/' + CONFIG.split('/')[-1][:-3]
        assert cfg.launcher == 'none'
        assert cfg.resume is False and cfg.load_from is None
        assert cfg.optim_wrapper.type == 'OptimWrapper'
        assert cfg.auto_scale_lr.enable is False

    def test_work_dir_and_launcher(self, train, monkeypatch):
        monkeypatch.setattr(environment, 'get_device', lambda: 'cuda')
        monkeypatch.setenv('RANK', '0')
        monkeypatch.setenv('WORLD_SIZE', '1')
        cfg = train('--work-dir', 'there', '--launcher', 'pytorch')
        assert (cfg.work_dir, cfg.launcher) == ('there', 'pytorch')

    def test_work_dir_of_the_config(self, train):
        assert train('--cfg-options', 'work_dir=mine').work_dir == 'mine'

    def test_amp(self, train):
        wrapper = train('--amp').optim_wrapper
        assert (wrapper.type, wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
        assert wrapper.optimizer.type == 'SGD'
        again = train('--amp', '--cfg-options', 'optim_wrapper.loss_scale=512.')
        assert again.optim_wrapper.loss_scale == 512

    def test_resume_latest(self, train):
        cfg = train('--resume')
        assert (cfg.resume, cfg.load_from) == (True, None)

    def test_resume_a_checkpoint(self, train):
        cfg = train('--resume', 'iter_10.pth')
        assert (cfg.resume, cfg.load_from) == (True, 'iter_10.pth')

    def test_auto_scale_lr(self, train):
        assert train('--auto-scale-lr').auto_scale_lr == dict(enable=True, base_batch_size=16)

    def test_auto_scale_lr_without_a_base(self, run, repo):
        with pytest.raises(SystemExit, match='has no auto_scale_lr.base_batch_size'):
            run('train.py', repo / 'configs/small/demo/student.py', '--auto-scale-lr')

    def test_cfg_options(self, train):
        cfg = train('--cfg-options', 'train_cfg.max_iters=7', 'crop_size=(64,96)')
        assert cfg.train_cfg.max_iters == 7
        assert cfg.data_preprocessor['size'] == (64, 96)
        pipeline = cfg.train_dataloader.dataset.datasets[1].pipeline
        assert [t.crop_size for t in pipeline if t.type == 'RandomCrop'] == [(64, 96)]


class TestTest:
    def test_without_arguments(self, run, repo):
        cfg, did = run('test.py', repo / CONFIG, 'some.pth')
        assert did == 'test'
        assert cfg.load_from == 'some.pth'
        assert 'output_dir' not in cfg.test_evaluator
        assert cfg.model.teacher_ckpt is None  # the checkpoint holds the teacher

    def test_out(self, test):
        evaluator = test('--out', 'labels').test_evaluator
        assert (evaluator.output_dir, evaluator.keep_results) == ('labels', True)

    def test_show_dir(self, test):
        cfg = test('--show-dir', 'pictures')
        assert cfg.default_hooks.visualization.draw is True
        assert cfg.default_hooks.visualization.interval == 1
        assert cfg.visualizer.save_dir == 'pictures'

    def test_tta(self, test):
        cfg = test('--tta')
        assert cfg.model.type == 'SegTTAModel'
        assert cfg.model.module.type == 'FrozenTeacherDistill'
        kinds = [transform['type'] for transform in cfg.test_dataloader.dataset.pipeline]
        assert kinds == ['LoadImageFromFile', 'TestTimeAug']


def test_a_hook_of_ours_can_be_left_out(run, repo):
    """mmengine takes None for its own hooks alone."""
    options = '--cfg-options', 'default_hooks.teacher_check=None'
    cfg, _ = run('train.py', repo / CONFIG, *options)
    assert 'teacher_check' not in cfg.default_hooks
    assert 'teacher_evaluation' in cfg.default_hooks and 'checkpoint' in cfg.default_hooks
