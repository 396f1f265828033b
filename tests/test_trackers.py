"""The guide's configs for trackers, each trained with to the letter: ``make test-trackers``."""

import importlib.util
import re
import sqlite3
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.trackers, pytest.mark.slow]
NEEDED = dict(
    TensorboardVisBackend='tensorboard',
    MLflowVisBackend='mlflow',
    WandbVisBackend='wandb',
    AimVisBackend='aim',
)
HOOKS = """
default_hooks = dict(
    attention=dict(type='mmrazor.AttentionVisualizationHook', interval=1, num_images=1),
    shares=dict(type='mmrazor.GradientShareHook', interval=1),
    student_checkpoint=dict(type='mmrazor.StudentCheckpointHook', interval=2, save_best='mIoU'))
"""
SCALARS = ('distill.loss_tat', 'distill.tat_patch', 'mIoU', 'teacher/mIoU')


def blocks(repo, language: str, word: str) -> list[str]:
    """Of the page, with its folder of a run."""
    page = (repo / 'docs/guides/trackers.md').read_text().replace('WORK_DIR', 'work')
    return [b for b in re.findall(rf'```{language}\n(.*?)```', page, re.S) if word in b]


@pytest.fixture
def run(repo, command, toy_options, demo_teacher, tmp_path):
    """A function that trains the demo's recipe with the guide's block of a backend."""

    def run(backend: str) -> str:
        if importlib.util.find_spec(NEEDED[backend]) is None:
            pytest.skip(f'{NEEDED[backend]} is not installed: make test-trackers')
        (block,) = blocks(repo, 'python', backend)
        base = repo / 'configs/small/demo/tat_student.py'
        (tmp_path / 'tracked.py').write_text(f'_base_ = [{str(base)!r}]\n{HOOKS}{block}')
        options = [*toy_options, f'model.teacher_ckpt={demo_teacher}']
        options.append('default_hooks.teacher.type=mmrazor.TeacherEvaluationHook')
        words = ['tracked.py', '--work-dir', 'work', '--cfg-options', *options]
        return command(repo / 'tools/train.py', *words, cwd=tmp_path)

    return run


def test_tensorboard(run, tmp_path):
    run('TensorboardVisBackend')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = (tmp_path / 'work').glob('*/vis_data/events*')
    found = EventAccumulator(str(events)).Reload().Tags()
    assert {*SCALARS} <= {*found['scalars']}
    assert any(name.startswith('grad_share/') for name in found['scalars'])
    assert any(name.startswith('attention_') for name in found['images'])


def test_mlflow(run, repo, tmp_path):
    run('MLflowVisBackend')
    with sqlite3.connect(tmp_path / 'mlflow.db') as store:
        keys = {key for (key,) in store.execute('select distinct key from metrics')}
        ((place,),) = store.execute('select artifact_uri from runs').fetchall()
    assert {*SCALARS} <= keys and any(key.startswith('grad_share/') for key in keys)
    artifacts = [path.name for path in tmp_path.rglob('*') if 'artifacts' in path.parts]
    assert any(name.startswith('attention_') for name in artifacts), (place, artifacts)
    assert 'student_best.pth' in artifacts
    (tmp_path / 'work/report.html').write_text('a report')
    with sqlite3.connect(tmp_path / 'mlflow.db') as store:
        ((run_id,),) = store.execute('select run_uuid from runs').fetchall()
    (shown,) = blocks(repo, 'bash', 'log-artifact')
    shown = shown.replace('mlflow artifacts', f'{sys.executable} -m mlflow artifacts')
    subprocess.run(['bash', '-ec', shown.replace(' ID', f' {run_id}')], cwd=tmp_path, check=True)
    assert [path for path in tmp_path.rglob('report.html') if 'artifacts' in path.parts]


def test_wandb(run, repo, tmp_path):
    run('WandbVisBackend')
    (log,) = tmp_path.rglob('run-*.wandb')
    content = log.read_bytes()
    assert all(name.encode() in content for name in (*SCALARS, 'grad_share/'))
    assert [path for path in tmp_path.rglob('media/images/**/*.png') if 'attention_' in str(path)]
    (tmp_path / 'work/report.html').write_text('a report')
    (shown,) = blocks(repo, 'python', 'log_artifact')
    subprocess.run([sys.executable, '-c', shown], cwd=tmp_path, check=True)
    (other,) = {*tmp_path.rglob('run-*.wandb')} - {log}
    assert b'report.html' in other.read_bytes()


def test_aim(run, tmp_path):
    run('AimVisBackend')
    import aim

    (name,) = aim.Repo(str(tmp_path)).list_all_runs()
    names = {metric.name for metric in aim.Run(name, repo=str(tmp_path)).metrics()}
    assert {*SCALARS} <= names and any(name.startswith('grad_share/') for name in names)
