"""How the tools turn OpenMMLab's arguments into a config; the Runner itself is not run here."""

import pytest
from mmengine.runner import Runner

from mmrazor_tat.utils import environment

CONFIG = 'configs/tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py'


@pytest.fixture
def run(call, monkeypatch, tmp_path):
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
        monkeypatch.setenv('LOCAL_RANK', '0')
        monkeypatch.chdir(tmp_path)
        ended = call(tool, *arguments)
        assert ended.code is None, ended.line
        return seen['cfg'], seen['did']

    return run


@pytest.fixture
def train(run, repo):
    return lambda *arguments: run('train', repo / CONFIG, *arguments)[0]


@pytest.fixture
def test(run, repo):
    return lambda *arguments: run('test', repo / CONFIG, 'some.pth', *arguments)[0]


def test_train_without_arguments(run, repo):
    cfg, did = run('train', repo / CONFIG)
    assert did == 'train'
    assert cfg.work_dir == 'work_dirs/' + CONFIG.split('/')[-1][:-3]
    assert (cfg.launcher, cfg.resume, cfg.load_from) == ('none', False, None)
    assert cfg.optim_wrapper.type == 'OptimWrapper'
    assert cfg.auto_scale_lr.enable is False


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['--cfg-options', 'work_dir=mine'], dict(work_dir='mine')),
        (['--resume'], dict(resume=True, load_from=None)),
        (['--resume', 'iter_10.pth'], dict(resume=True, load_from='iter_10.pth')),
        (['--auto-scale-lr'], dict(auto_scale_lr=dict(enable=True, base_batch_size=16))),
    ],
)
def test_what_an_argument_of_train_sets(train, arguments, expected):
    cfg = train(*arguments)
    assert {key: cfg[key] for key in expected} == expected


def test_work_dir_and_launcher(train, monkeypatch):
    monkeypatch.setattr(environment, 'get_device', lambda: 'cuda')
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '1')
    cfg = train('--work-dir', 'there', '--launcher', 'pytorch')
    assert (cfg.work_dir, cfg.launcher) == ('there', 'pytorch')


def test_amp(train):
    wrapper = train('--amp', '--cfg-options', 'optim_wrapper.loss_scale=512.').optim_wrapper
    assert (wrapper.type, wrapper.loss_scale) == ('AmpOptimWrapper', 512)
    assert wrapper.optimizer.type == 'SGD'


def test_auto_scale_lr_without_a_base(call, repo):
    ended = call('train', repo / 'configs/small/demo/student.py', '--auto-scale-lr')
    assert 'has no auto_scale_lr.base_batch_size' in ended.code


def test_cfg_options(train):
    """mmengine takes None for its own hooks alone; ours can be left out as well."""
    options = 'train_cfg.max_iters=7', 'crop_size=(64,96)', 'default_hooks.teacher_check=None'
    cfg = train('--cfg-options', *options)
    assert cfg.train_cfg.max_iters == 7
    assert cfg.data_preprocessor['size'] == (64, 96)
    pipeline = cfg.train_dataloader.dataset.datasets[1].pipeline
    assert [t.crop_size for t in pipeline if t.type == 'RandomCrop'] == [(64, 96)]
    assert 'teacher_check' not in cfg.default_hooks
    assert 'teacher_evaluation' in cfg.default_hooks and 'checkpoint' in cfg.default_hooks


def test_test_without_arguments(run, repo):
    cfg, did = run('test', repo / CONFIG, 'some.pth')
    assert did == 'test'
    assert cfg.load_from == 'some.pth'
    assert 'output_dir' not in cfg.test_evaluator
    assert cfg.model.teacher_ckpt is None  # the checkpoint holds the teacher


def test_tta(test):
    cfg = test('--tta')
    assert cfg.model.type == 'SegTTAModel'
    assert cfg.model.module.type == 'FrozenTeacherDistill'
    kinds = [transform['type'] for transform in cfg.test_dataloader.dataset.pipeline]
    assert kinds == ['LoadImageFromFile', 'TestTimeAug']
