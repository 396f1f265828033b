"""Our tools in two processes, with every hook that works in the main one only."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import on_cpu
import pytest
import torch
from mmengine import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner

from mmrazor_tat.datasets.toy_scenes import write_toy_voc
from mmrazor_tat.engine.runner.evaluation import build_loader, evaluate

CONFIG = """
_base_ = '{base}'
default_hooks = dict(
    student_checkpoint=dict(
        type='mmrazor.StudentCheckpointHook', interval=2, save_best='mIoU'),
    attention=dict(type='mmrazor.AttentionVisualizationHook', interval=2, num_images=1),
    gradient_share=dict(type='mmrazor.GradientShareHook', interval=2),
    loss_schedule=dict(
        type='mmrazor.LossScheduleHook', schedules=dict(loss_tat=dict(warmup=2, stop=3))),
    teacher_check=dict(type='mmrazor.TeacherCheckHook', num_images=3),
    teacher_evaluation=dict(type='mmrazor.TeacherEvaluationHook'))
model = dict(teacher_ckpt='{teacher}')
train_cfg = dict(max_iters=4, val_interval=4)
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
log_processor = dict(window_size=1)
optim_wrapper = dict(optimizer=dict(lr=1e-6))
auto_scale_lr = dict(base_batch_size=8)
"""


@pytest.fixture(scope='module')
def config(repo, tmp_path_factory) -> Path:
    """A demo's recipe with five images to validate on, one for each of two processes to spare."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    folder = tmp_path_factory.mktemp('config')
    write_toy_voc(folder, num_train=16, num_val=5, size=(64, 64))
    base, teacher = repo / 'configs/small/demo/tat_student.py', folder / 'teacher.pth'
    init_default_scope('mmseg')
    torch.manual_seed(1)
    model = MODELS.build(Config.fromfile(base).model.teacher)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)  # or all would be background
    torch.save(dict(state_dict=model.state_dict(), meta={}), teacher)
    path = folder / 'recipe.py'
    path.write_text(CONFIG.format(base=base, teacher=teacher))
    return path


def options(config: Path) -> list[str]:
    return [
        f'data_root={config.parent}',
        'crop_size=(48,48)',
        'default_hooks.checkpoint.interval=4',
        'default_hooks.logger.interval=1',
    ]


@pytest.fixture(scope='module')
def run(repo, config, two_processes, tmp_path_factory) -> SimpleNamespace:
    """A training by tools/train.py, then an evaluation by tools/test.py, both in two processes."""
    folder = tmp_path_factory.mktemp('run')
    settings = ['--launcher', 'pytorch', '--cfg-options', *options(config), *on_cpu.OPTIONS]
    text = two_processes(
        *(repo / 'tools/train.py', config, '--work-dir', folder / 'train', *settings),
        '--then',
        *(repo / 'tools/test.py', config, folder / 'train/iter_4.pth'),
        *('--work-dir', folder / 'test', *settings),
        cwd=folder,  # mmengine collects results there
    )
    (scalars,) = (folder / 'train').rglob('scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    return SimpleNamespace(
        folder=folder,
        text=text,
        training=[line for line in lines if 'loss' in line],
        validation=next(line for line in lines if 'mIoU' in line),
    )


@pytest.fixture(scope='module')
def alone(run) -> SimpleNamespace:
    """The student and the teacher of that training, evaluated in one process."""
    cfg = Config.fromfile(run.folder / 'train/recipe.py')
    cfg.update(launcher='none', work_dir=str(run.folder / 'alone'), log_level='ERROR')
    cfg.load_from = str(run.folder / 'train/iter_4.pth')
    cfg.pop('model_wrapper_cfg')
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    model = runner.model.eval()

    def metrics(step, count=None):
        return evaluate(runner, 'val', build_loader(runner, 'val'), step, count)[0]

    return SimpleNamespace(runner=runner, model=model, metrics=metrics)


def test_there_is_one_run(run):
    train = run.folder / 'train'
    assert [path.name for path in train.glob('*.pth')] == ['iter_4.pth']
    assert len(list(train.rglob('*.log'))) == 1
    assert [line['step'] for line in run.training] == [1, 2, 3, 4]
    assert 'a batch of 4 (2 processes x 2 images)' in run.text
    assert not [
        key
        for key in torch.load(train / 'iter_4.pth', weights_only=False)['state_dict']
        if key.startswith('module.')
    ]


def test_the_hooks_did_their_work(run):
    train = run.folder / 'train'
    assert {path.name for path in (train / 'student').iterdir()} == {
        'student.py',
        'student_best.pth',
        'student_iter_4.pth',
    }
    assert [line['factor/tat'] for line in run.training] == [0.5, 1, 1, 0]
    shares = [
        (line['grad_share/feature/tat'], line['grad_share/feature/task']) for line in run.training
    ]
    assert all(sum(both) == pytest.approx(1, abs=1e-3) for both in shares)
    pictures = {path.name for path in train.rglob('attention_*.png')}
    assert pictures == {f'attention_val_00000_{step}.png' for step in (0, 2, 4)}


def test_an_evaluation_in_two_processes_is_that_of_one(run, alone):
    """Of five images: the sixth, a repetition for the second process, does not count."""
    student = alone.metrics(alone.model.val_step)
    teacher = alone.metrics(alone.model.teacher_val_step)
    assert student['aAcc'] < 80 and teacher['aAcc'] < 80  # not background alone
    for name in ('mIoU', 'mAcc', 'aAcc'):
        assert run.validation[name] == run.validation[f'student/{name}'] == student[name]
        assert run.validation[f'teacher/{name}'] == teacher[name]
    tested = re.findall(r'Iter\(test\) \[3/3\] .*aAcc: ([\d.]+) +mIoU: ([\d.]+)', run.text)
    assert tested == [(f'{student["aAcc"]:.4f}', f'{student["mIoU"]:.4f}')]
    found = re.findall(r'the teacher has mIoU ([\d.]+) on the first (\d) validation', run.text)
    first = alone.metrics(alone.model.teacher_val_step, 4)['mIoU']
    assert found == [(f'{first:.2f}', '4')]  # two whole batches of each process


def test_a_repeated_image_would_have_been_seen(alone):
    loader = build_loader(alone.runner, 'val')
    evaluator = Evaluator(alone.runner.cfg.val_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    batches = list(loader)
    for batch in [*batches, batches[0]]:
        with torch.no_grad():
            evaluator.process(alone.model.teacher_val_step(batch), batch)
    metrics = evaluator.evaluate(6)
    assert metrics['aAcc'] != alone.metrics(alone.model.teacher_val_step)['aAcc']
