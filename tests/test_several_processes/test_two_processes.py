"""Two processes: every method trains as in one, and our tools with all their hooks.

By torchrun, mmengine's init_dist and its DistributedDataParallel with find_unused_parameters=False,
which fails where a learnt parameter gets no gradient. Losses that compare the images of a batch
(CC, PKT, RKD, SP) are not here: by their definition a process compares its own images only.
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import methods
import on_cpu
import pytest
import torch
from mmengine import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import MODELS

from mmrazor_tat.datasets.toy_scenes import write_toy_voc
from mmrazor_tat.engine.runner.evaluation import build_loader, evaluate

# All with synchronised batch norms, those of the connectors as well; '+frozen': with frozen ones.
QUICK = ['tat', 'tat+bn', 'review-kd+frozen', 'crd', 'sckd']
REST = [
    *('tat+composed', 'tat+frozen', 'at', 'cwd', 'cwd+frozen', 'fitnet', 'ickd', 'ickd+frozen'),
    *('kd', 'kd+frozen', 'ofd', 'review-kd'),
]
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


def results(result: Path) -> list[dict]:
    return [torch.load(f'{result}.{rank}', weights_only=False) for rank in range(2)]


@pytest.fixture(scope='module')
def run(repo, config, two_processes, tmp_path_factory) -> SimpleNamespace:
    """In one start: the quick methods, a training by tools/train.py, its test by tools/test.py."""
    folder = tmp_path_factory.mktemp('run')
    train, test = folder / 'train', folder / 'test'
    settings = ['crop_size=(48,48)', 'default_hooks.checkpoint.interval=4']
    settings += [f'data_root={config.parent}', 'default_hooks.logger.interval=1', *on_cpu.OPTIONS]
    settings = ['--launcher', 'pytorch', '--cfg-options', *settings]
    text = two_processes(
        *(methods.__file__, folder / 'quick', *QUICK, 'tat+balanced', '--then'),
        *(repo / 'tools/train.py', config, '--work-dir', train, *settings, '--then'),
        *(repo / 'tools/test.py', config, train / 'iter_4.pth', '--work-dir', test, *settings),
        cwd=folder,  # mmengine collects results there
    )
    (scalars,) = train.rglob('scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    return SimpleNamespace(
        text=text,
        train=train,
        methods=results(folder / 'quick'),
        training=[line for line in lines if 'loss' in line],
        validation=next(line for line in lines if 'mIoU' in line),
    )


@pytest.fixture(scope='module')
def rest(two_processes, tmp_path_factory) -> list[dict]:
    """Of the methods that take longer."""
    result = tmp_path_factory.mktemp('methods') / 'rest'
    two_processes(methods.__file__, result, *REST)
    return results(result)


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are small
    yield
    torch.set_num_threads(threads)


def test_all_methods_for_segmentation_are_here(repo):
    recipes = {path.stem for path in (repo / 'configs/small/demo').glob('*_student.py')}
    assert {f.removesuffix('_student') for f in recipes if 'tat-' not in f} <= {*QUICK, *REST}


def assert_those_of_one_process(name: str, of_two: list[dict]) -> None:
    one, (first, second) = methods.train(name), (found[name] for found in of_two)
    assert one['without'] == first['without'] == second['without'] == set()
    for both in zip(one['losses'], first['losses'], second['losses']):
        assert both[0] == pytest.approx((both[1] + both[2]) / 2, rel=1e-9)
    assert first['losses'] != second['losses']  # each has images of its own
    for what in ('gradients', 'state'):
        for key, value in first[what].items():
            assert torch.equal(value, second[what][key]), key
        torch.testing.assert_close(first[what], dict(one[what]), rtol=1e-7, atol=1e-9)
    moved = [k for k in one['gradients'] if one['gradients'][k].abs().max() > 0]
    assert len(moved) > len(one['gradients']) // 2


@pytest.mark.parametrize('name', QUICK)
def test_gradients_and_weights_are_those_of_one_process(name, run, one_thread):
    assert_those_of_one_process(name, run.methods)


def test_the_balance_is_the_same_in_both(run):
    """Though each measures the gradients of its own images."""
    first, second = (found['tat+balanced'] for found in run.methods)
    assert first['share'] != second['share']
    assert first['factors'] == second['factors'] and first['factors']['loss_tat'] != 1
    for key, value in first['state'].items():
        assert torch.equal(value, second['state'][key]), key


@pytest.mark.slow
@pytest.mark.parametrize('name', REST)
def test_gradients_and_weights_of_the_rest(name, rest, one_thread):
    assert_those_of_one_process(name, rest)


def test_there_is_one_run_and_the_hooks_did_their_work(run):
    """Those as well that work in the main process only."""
    train, lines = run.train, run.training
    assert [path.name for path in train.glob('*.pth')] == ['iter_4.pth']
    assert len(list(train.rglob('*.log'))) == 1
    assert [line['step'] for line in lines] == [1, 2, 3, 4]
    assert 'a batch of 4 (2 processes x 2 images)' in run.text
    weights = torch.load(train / 'iter_4.pth', weights_only=False)['state_dict']
    assert not any(key.startswith('module.') for key in weights)
    students = {path.name for path in (train / 'student').iterdir()}
    assert students == {'student.py', 'student_best.pth', 'student_iter_4.pth'}
    assert [line['factor/tat'] for line in lines] == [0.5, 1, 1, 0]
    for line in lines:
        shares = line['grad_share/feature/tat'] + line['grad_share/feature/task']
        assert shares == pytest.approx(1, abs=1e-3)
    pictures = {path.name for path in train.rglob('attention_*.png')}
    assert pictures == {f'attention_val_00000_{step}.png' for step in (0, 2, 4)}


def test_an_evaluation_in_two_processes_is_that_of_one(run):
    """Of five images: the sixth, a repetition for the second process, does not count."""
    cfg = Config.fromfile(run.train / 'recipe.py')
    cfg.update(launcher='none', work_dir=str(run.train.parent / 'alone'), log_level='ERROR')
    cfg.load_from = str(run.train / 'iter_4.pth')
    cfg.pop('model_wrapper_cfg')
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    model, loader = runner.model.eval(), build_loader(runner, 'val')

    def metrics(step, count=None):
        return evaluate(runner, 'val', loader, step, count)[0]

    student, teacher = metrics(model.val_step), metrics(model.teacher_val_step)
    assert student['aAcc'] < 80 and teacher['aAcc'] < 80  # not background alone
    for name in ('mIoU', 'mAcc', 'aAcc'):
        assert run.validation[name] == run.validation[f'student/{name}'] == student[name]
        assert run.validation[f'teacher/{name}'] == teacher[name]
    tested = re.findall(r'Iter\(test\) \[3/3\] .*aAcc: ([\d.]+) +mIoU: ([\d.]+)', run.text)
    assert tested == [(f'{student["aAcc"]:.4f}', f'{student["mIoU"]:.4f}')]
    found = re.findall(r'the teacher has mIoU ([\d.]+) on the first (\d) validation', run.text)
    first = metrics(model.teacher_val_step, 4)['mIoU']
    assert found == [(f'{first:.2f}', '4')]  # two whole batches of each process

    # A repeated image would have been seen.
    evaluator = Evaluator(cfg.val_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    batches = list(loader)
    for batch in [*batches, batches[0]]:
        evaluator.process(model.teacher_val_step(batch), batch)
    assert evaluator.evaluate(6)['aAcc'] != teacher['aAcc']
