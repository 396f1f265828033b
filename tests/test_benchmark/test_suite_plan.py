"""From a suite to its trainings: order, options, settings, and networks that must fit."""

import copy
from dataclasses import replace

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS
from mmengine.runner import set_random_seed

from mmrazor_tat import config_path
from mmrazor_tat.benchmark.execution import dry_run, run_suite
from mmrazor_tat.benchmark.execution.launch import Launch, as_line, train_command
from mmrazor_tat.benchmark.suites.definition import load_suite
from mmrazor_tat.benchmark.suites.jobs import Key
from mmrazor_tat.benchmark.suites.networks import draw
from mmrazor_tat.benchmark.suites.options import SuiteError
from mmrazor_tat.benchmark.suites.plan import Plan
from mmrazor_tat.utils.config_options import apply_options
from mmrazor_tat.utils.networks import initial_weights

DEMO = """
title, metric, seeds, baseline = 'Demo', 'mIoU', (0, 1), 'student'
options = {'train_cfg.max_iters': 40, 'crop_size': (48, 48)}
toy_data = dict(num_train=4, num_val=2)
runs = dict(
    teacher=dict(config='small/demo/teacher.py', seeds=(0,), baseline=None),
    tat=dict(config='small/demo/tat_student.py', teacher='teacher', start='student',
             options={'train_cfg.max_iters': 50}),
    student=dict(config='small/demo/student.py'))
"""


@pytest.fixture
def plan(tmp_path):
    """A function that writes a suite, a text, and plans it."""

    def plan(text: str = DEMO, seeds=None, **options) -> Plan:
        path = tmp_path / 'demo.py'
        path.write_text(text)
        return Plan(load_suite(str(path), seeds), tmp_path / 'out', **options)

    return plan


def keys(jobs) -> list[str]:
    return [str(job.key) for job in jobs]


def test_order_and_choice(plan):
    """A seed of every run before the next; of those that are named, each once, and teachers."""
    assert keys(plan().jobs()) == [
        *('teacher seed 0', 'tat seed 0', 'student seed 0', 'tat seed 1', 'student seed 1')
    ]
    found = plan(seeds=[3])
    assert keys(found.jobs(['tat'])) == ['teacher seed 0', 'tat seed 3']
    for patterns in (['s*', 't?t', 'tat'], ['[st]*t']):
        assert keys(found.jobs(patterns)) == ['teacher seed 0', 'tat seed 3', 'student seed 3']
    for name, error in (
        ('tats', "--only: there is no run 'tats'; nearest: 'tat'"),
        ('teach?', r"there is no run 'teach\?'; nearest: 'teacher'"),
        ('x-*', r"there is no run 'x-\*'; known: teacher, tat, student"),
    ):
        with pytest.raises(SuiteError, match=error):
            found.jobs(['tat', name])


def test_seeds_that_lie_there_are_reported(plan, tmp_path):
    (tmp_path / 'out/runs/tat/seed7').mkdir(parents=True)
    (tmp_path / 'out/runs/tat/seed7/run.json').touch()
    (tmp_path / 'out/runs/tat/seed8').mkdir()
    found = plan(seeds=[1]).jobs_for_report()
    assert keys(found) == ['teacher seed 0', 'tat seed 1', 'tat seed 7', 'student seed 1']


def test_options_of_a_job(plan, tmp_path):
    """The call's before the run's, before the suite's."""
    out = tmp_path / 'out'
    tat = plan(options={'optim_wrapper.optimizer.lr': 0.5}).job('tat', 1)
    assert tat.options == {
        'train_cfg.max_iters': 50,
        'crop_size': (48, 48),
        'optim_wrapper.optimizer.lr': 0.5,
        'randomness.seed': 1,
        'default_hooks.checkpoint.save_best': 'mIoU',
        'default_hooks.checkpoint.rule': 'greater',
        'default_hooks.checkpoint.save_last': True,
        'default_hooks.checkpoint.max_keep_ckpts': 2,
        'data_root': str(out / 'data'),
        'model.architecture.init_cfg.type': 'Pretrained',
        'model.architecture.init_cfg.checkpoint': str(out / 'starts/student_seed1.pth'),
    }
    assert tat.folder == out / 'runs/tat/seed1'
    assert tat.teacher == Key('teacher', 0)
    assert (tat.unit, tat.total) == ('iter', 50)
    student = plan(options={'train_cfg.max_iters': 60}).job('student', 1)
    assert student.total == 60
    assert student.options['model.init_cfg.checkpoint'] == str(out / 'starts/student_seed1.pth')
    assert plan().job('teacher', 0).start is None and plan().makes_toy_data
    # The deployed network's, the same for a recipe and its plain student.
    assert tat.parameters == student.parameters == pytest.approx(0.25e6, rel=0.05)
    found = plan(options={'data_root': '/mine'})
    assert found.job('student', 0).options['data_root'] == '/mine' and not found.makes_toy_data
    with pytest.raises(SuiteError, match='cannot be handed over by --cfg-options'):
        Plan(load_suite(str(tmp_path / 'demo.py')), tmp_path / 'two words')


def test_settings_decide_about_the_result_and_nothing_else(plan, tmp_path):
    first = plan().job('tat', 0)
    assert first.settings['train_cfg.max_iters'] == '50'
    assert first.settings['train_dataloader.dataset.pipeline.3.crop_size'] == '(48, 48)'
    assert not [key for key, value in first.settings.items() if str(tmp_path) in value]
    path = tmp_path / 'demo.py'
    moved = Plan(load_suite(str(path)), tmp_path / 'elsewhere').job('tat', 0)
    assert moved.settings == first.settings and moved.fingerprint == first.fingerprint
    others = [
        plan().job('tat', 1),
        plan(processes=2).job('tat', 0),
        plan(options={'optim_wrapper.optimizer.lr': 0.5}).job('tat', 0),
        plan(DEMO.replace('num_val=2', 'num_val=3')).job('tat', 0),
        # Of its teacher, or of the network whose weights it starts from.
        plan(DEMO.replace('(0,)', "(0,), options={'train_cfg.max_iters': 9}")).job('tat', 0),
        plan(DEMO.replace("start='student',", '')).job('tat', 0),
    ]
    assert len({first.fingerprint, *(job.fingerprint for job in others)}) == 1 + len(others)


EPOCHS = f"""
_base_ = {config_path('small/demo/student.py')!r}
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=7, val_interval=1)
"""


def test_epochs(plan, tmp_path):
    (tmp_path / 'epochs.py').write_text(EPOCHS)
    text = DEMO.replace("'train_cfg.max_iters': 40, ", '')
    job = plan(text.replace('small/demo/student', 'epochs')).job('student', 0)
    assert (job.unit, job.total) == ('epoch', 7)


STUDENT = "dict(config='small/demo/student.py')"
TAUGHT_BY_A_RECIPE = "two=dict(config='small/demo/tat_student.py', teacher='tat')"
FAULTS = [
    ("'crop_size': (48, 48)", "'crop_size': 5", 'crop_size must be two positive integers'),
    (
        *("start='student'", "start='teacher'"),
        "run 'tat' is to start from the weights of run 'teacher', which trains another network: "
        r'backbone.layer1.0.bn1.bias is \(8,\) here and \(24,\) there',
    ),
    (
        *("teacher='teacher'", "teacher='student'"),
        "run 'tat' has a model.teacher that is not the network that run 'student' trains",
    ),
    ("teacher='teacher', ", '', "run 'tat': .* has a teacher without weights: name the run"),
    (
        *(STUDENT, STUDENT.replace(')', ", teacher='teacher')")),
        "run 'student' has the teacher 'teacher', but .*student.py has no model.teacher",
    ),
    (
        *(STUDENT, f'{STUDENT}, {TAUGHT_BY_A_RECIPE}'),
        "run 'two': its teacher 'tat' is itself a distillation",
    ),
]


@pytest.mark.parametrize(('old', 'new', 'error'), FAULTS)
def test_what_does_not_fit_is_named(plan, old, new, error):
    with pytest.raises(SuiteError, match=error):
        plan(DEMO.replace(old, new)).jobs()


def test_an_init_cfg_of_the_config_s_own_is_replaced(plan, tmp_path):
    """Merged into, it would keep arguments that Pretrained does not take."""
    own = f'_base_ = {config_path("small/demo/student.py")!r}\n'
    own += "model = dict(init_cfg=dict(type='Normal', layer='Conv2d', std=1.0))\n"
    (tmp_path / 'own.py').write_text(own)
    job = plan(DEMO.replace('small/demo/student', 'own')).job('student', 0)
    cfg = Config.fromfile(job.run.config)
    apply_options(cfg, copy.deepcopy(job.options))
    assert cfg.model.init_cfg == dict(type='Pretrained', checkpoint=str(job.start.path))


BARE = f"""
_base_ = {config_path('small/demo/teacher.py')!r}
model = dict(_delete_=True, type='mmrazor.SingleThing', architecture=_base_.model)
"""


def test_an_architecture_alone_is_no_distillation(plan, tmp_path):
    """An algorithm of MMRazor around one network: that network is what teaches."""
    (tmp_path / 'bare.py').write_text(BARE)
    found = plan(DEMO.replace('small/demo/teacher', 'bare'))
    assert found.job('tat', 0).teacher == Key('teacher', 0)


def test_no_imagenet_weights(plan, tmp_path):
    """One option for all runs: plain network, recipe and teacher."""
    text = "_base_ = {!r}\nmodel = dict({}pretrained='open-mmlab://resnet18_v1c'{})\n"
    for name, of in (('student', ('', '')), ('tat_student', ('architecture=dict(', ')'))):
        base = config_path(f'small/demo/{name}.py')
        (tmp_path / f'own_{name}.py').write_text(text.format(base, *of))
    suite = DEMO.replace('small/demo/student', 'own_student')
    suite = suite.replace('small/demo/tat_st', 'own_tat_st')
    key = {'student': 'model.pretrained', 'tat': 'model.architecture.pretrained'}
    for options, expected in (({}, 'open-mmlab://resnet18_v1c'), ({'pretrained': None}, None)):
        found = plan(suite, options=options)
        for name in ('student', 'tat'):
            assert found.job(name, 0).settings[key[name]] == repr(expected)
        assert found.job('tat', 0).start.cfg.model.pretrained == expected
    with pytest.raises(SuiteError, match='pretrained must be None or the text of a checkpoint'):
        plan(suite, options={'pretrained': 3}).jobs()


def test_paired_runs_start_from_the_same_weights(plan, tmp_path):
    """The student of the recipe and the plain student, as built from what is handed over."""
    found = plan()
    read = {name: Config.fromfile(found.suite.runs[name].config) for name in ('student', 'tat')}
    teacher = Config(dict(model=read['tat'].model.teacher, default_scope='mmseg'))
    weights = initial_weights(teacher, tmp_path / 'teacher.pth', seed=5)
    states = {}
    for seed in (0, 1):
        for name in ('student', 'tat'):
            job = found.job(name, seed)
            assert job.start.path == tmp_path / f'out/starts/student_seed{seed}.pth'
            draw(job.start)
            cfg = copy.deepcopy(read[name])
            apply_options(cfg, copy.deepcopy(job.options))
            if name == 'tat':
                cfg.model.teacher_ckpt = weights
            set_random_seed(99)  # whatever the run has drawn before
            model = MODELS.build(cfg.model)
            model.init_weights()
            states[name, seed] = getattr(model, 'student', model).state_dict()
    for seed in (0, 1):
        student, tat = states['student', seed], states['tat', seed]
        assert student.keys() == tat.keys()
        assert all(torch.equal(student[key], tat[key]) for key in student)
    key = 'backbone.layer1.0.conv1.weight'
    assert not torch.equal(states['student', 0][key], states['student', 1][key])
    # They are drawn once; those of another network are not taken for them.
    start = found.job('student', 0).start
    drawn = start.path.stat().st_mtime_ns
    draw(start)
    assert start.path.stat().st_mtime_ns == drawn
    draw(replace(start, digest='of another network'))
    assert start.path.stat().st_mtime_ns > drawn


def test_the_command_of_a_job(plan, repo):
    job = plan().job('student', 1)

    def words(**launch) -> list[str]:
        return train_command(job, {'a.b': (1, 2)}, Launch(gpus=(), **launch))

    config = repo / 'configs/small/demo/student.py'
    assert words()[1:] == [
        *(str(repo / 'tools/train.py'), str(config), '--work-dir', str(job.folder)),
        *('--resume', '--cfg-options', 'a.b=(1,2)'),
    ]
    torchrun = words(launcher='pytorch', processes=3)
    start = ['-m', 'torch.distributed.run', '--nproc_per_node', '3', '--master_port']
    assert torchrun[1:6] == start and 1024 < int(torchrun[6]) < 65536
    assert torchrun[torchrun.index('--launcher') + 1] == 'pytorch'
    slurm = words(launcher='slurm', processes=2)
    assert slurm[slurm.index('--launcher') + 1] == 'slurm'
    assert '--launcher' not in words(launcher='slurm')
    assert 'MASTER_PORT' in Launch(launcher='slurm', gpus=()).environment(0)
    assert as_line(['a', 'b=(1,2)'], dict(X='1')) == "X=1 a 'b=(1,2)'"


class TestPlaces:
    def test_threads_of_a_cpu(self, monkeypatch):
        monkeypatch.setattr('os.sched_getaffinity', lambda _: set(range(9)))
        monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
        assert Launch(jobs=2, gpus=()).environment(1) == dict(OMP_NUM_THREADS='4')
        assert Launch(jobs=20, gpus=()).threads == 1
        assert Launch(jobs=2, launcher='pytorch', processes=2, gpus=()).threads == 2
        monkeypatch.setenv('OMP_NUM_THREADS', '3')
        assert Launch(jobs=2, gpus=()).threads == 3
        assert Launch(jobs=9, gpus=()).threads == 1

    def test_gpus_of_a_job(self):
        two = Launch(jobs=2, launcher='pytorch', processes=2, gpus=('0', '1', '2', '3'))
        for launch, devices in (
            (Launch(jobs=3, gpus=('4', '5')), ['4', '5', '4']),
            (two, ['0,1', '2,3']),
        ):
            for slot, device in enumerate(devices):
                assert launch.environment(slot) == dict(CUDA_VISIBLE_DEVICES=device)

    def test_torchrun_needs_gpus_to_start_but_not_to_be_named(self, plan, tmp_path):
        found = plan()
        launch = Launch(launcher='pytorch', processes=4, gpus=())
        with pytest.raises(SuiteError, match='--launcher pytorch needs a GPU for each process'):
            run_suite(found, launch=launch)
        assert not (tmp_path / 'out').exists()
        assert all('torch.distributed.run' in line for line in dry_run(found, launch=launch))
        Launch(launcher='pytorch', gpus=('0',)).check_devices()
        Launch(launcher='slurm', processes=4, gpus=()).check_devices()  # they are on the nodes
        Launch(gpus=()).check_devices()

    @pytest.mark.parametrize(
        ('options', 'error'),
        [
            (dict(jobs=0), '--jobs must be an integer of at least 1, got 0'),
            (dict(processes=0), '--processes must be an integer of at least 1, got 0'),
            (dict(processes=2), '--processes 2 needs --launcher pytorch or --launcher slurm'),
            (dict(launcher='mpi'), "--launcher must be one of .* got 'mpi'"),
            (dict(slurm=dict(nodes=1)), '--slurm needs --launcher slurm'),
            (dict(launcher='pytorch', processes=2, gpus=['0']), 'only 1 GPUs are visible'),
        ],
    )
    def test_what_does_not_go_together(self, options, error):
        with pytest.raises(SuiteError, match=error):
            Launch(**{'gpus': (), **options})
