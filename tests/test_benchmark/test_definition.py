"""A suite's file: what is read, and the one error that each fault gives before anything runs."""

import pytest

from mmrazor_tat.benchmark.suites.definition import load_suite
from mmrazor_tat.benchmark.suites.options import SuiteError, as_arguments, read_options

RUNS = dict(
    teacher=dict(config='small/demo/teacher.py', seeds=(0,), baseline=None),
    student=dict(config='small/demo/student.py', label='plain student', paper=72.07),
    tat=dict(
        config='small/demo/tat_student.py', teacher='teacher', start='student', note='Mind it.'
    ),
)
SUITE = dict(title='A suite', seeds=(0, 1), metric='mIoU', baseline='student', runs=RUNS)


@pytest.fixture
def suite(tmp_path):
    """A function that writes a suite of the keys above, changed, and loads it."""

    def suite(seeds=None, without=(), **changes):
        content = {k: v for k, v in {**SUITE, **changes}.items() if k not in without}
        path = tmp_path / 'mine.py'
        path.write_text(''.join(f'{key} = {value!r}\n' for key, value in content.items()))
        return load_suite(str(path), seeds)

    return suite


def with_run(name: str, **changes) -> dict:
    return {**RUNS, name: {**RUNS.get(name, {}), **changes}}


def tat(**changes) -> dict:
    """The suite's runs with changes of one."""
    return dict(runs=with_run('tat', **changes))


def test_what_is_read(suite, repo, tmp_path):
    (tmp_path / 'own.py').write_text('model = dict()\n')  # beside the suite
    runs = with_run('student', config='own.py')
    runs['tat'] = {**RUNS['tat'], 'group': 'ResNet-56 -> ResNet-20'}
    options = {'train_cfg': dict(max_iters=5), 'crop_size': (48, 48)}
    read = suite(runs=runs, options=options, toy_data=dict(num_train=4, size=(64, 64)))
    assert (read.name, read.title, read.metric, read.seeds) == ('mine', 'A suite', 'mIoU', (0, 1))
    assert read.options == {'train_cfg.max_iters': 5, 'crop_size': (48, 48)}
    assert read.toy_data == dict(num_train=4, size=(64, 64))
    assert list(read.runs) == ['teacher', 'student', 'tat']
    teacher, student, tat = read.runs.values()
    assert [run.label for run in (teacher, student, tat)] == ['teacher', 'plain student', 'tat']
    assert [run.seeds for run in (teacher, student, tat)] == [(0,), (0, 1), (0, 1)]
    assert [run.baseline for run in (teacher, student, tat)] == [None, None, 'student']
    assert [run.paper for run in (teacher, student, tat)] == [None, 72.07, None]
    assert [run.note for run in (teacher, student, tat)] == [None, None, 'Mind it.']
    assert [run.group for run in (teacher, student, tat)] == [None, None, 'ResNet-56 -> ResNet-20']
    assert student.config == tmp_path / 'own.py'
    assert tat.config == repo / 'configs/small/demo/tat_student.py'
    assert read.teacher_of(tat, 1) == ('teacher', 0)  # its single seed
    assert [read.start_of(run) for run in (teacher, student, tat)] == [None, 'student', 'student']


def test_seeds_of_the_call(suite):
    """They replace the suite's; a run's own stay."""
    read = suite(seeds=[4])
    assert read.seeds == (4,)
    assert [run.seeds for run in read.runs.values()] == [(0,), (4,), (4,)]
    runs = {name: {k: v for k, v in run.items() if k != 'seeds'} for name, run in RUNS.items()}
    read = suite(seeds=[4, 5], runs=runs)
    assert read.teacher_of(read.runs['tat'], 5) == ('teacher', 5)  # the same one


def test_a_shipped_suite_by_its_name(repo):
    read = load_suite('tiny')
    assert read.path == repo / 'configs/suites/tiny.py'
    assert {'teacher', 'student', 'tat'} <= read.runs.keys()
    assert read.runs['tat'].teacher == 'teacher' and read.runs['tat'].start == 'student'
    assert len(read.seeds) == 3 and read.runs['teacher'].seeds == (0,)
    with pytest.raises(SuiteError, match="there is no suite 'tinny', .*; nearest: 'tiny'"):
        load_suite('tinny')


FAULTS = [
    (dict(sedes=(1,), without=('seeds',)), "a suite has no key 'sedes'; nearest: 'seeds'"),
    (dict(runs=dict(a=dict(confg='x'))), "run 'a' has no key 'confg'; nearest: 'config'"),
    (dict(without=('metric',)), "a suite needs 'metric', which"),
    (dict(title=3), 'title must be a text, got 3'),
    (dict(seeds=()), r'seeds must be different integers of at least 0.*got \[\]|got \(\)'),
    (dict(seeds=(0, 0)), 'seeds must be different integers of at least 0'),
    (dict(seeds=(-1,)), 'seeds must be different integers of at least 0'),
    (dict(seeds=3), 'seeds must be different integers of at least 0.*got 3'),
    (dict(runs=dict()), 'runs must be a dict with at least one run'),
    (dict(runs=dict(a=3)), "run 'a' must be a dict such as"),
    (dict(runs=dict(a=dict(label='x')), baseline=None), "run 'a' needs a config"),
    (dict(runs={'a/b': dict(config='small/demo/student.py')}), "run 'a/b': a run becomes a folder"),
    (tat(teached='teacher'), "run 'tat' has no key 'teached'; nearest: 'teacher'"),
    (tat(paper='72'), "run 'tat': paper must be a number or None"),
    (tat(group=''), "run 'tat': group must be a text, got ''"),
    (
        tat(config='small/demo/tat.py'),
        "run 'tat': there is no config 'small/demo/tat.py', neither in",
    ),
    (tat(teacher='teached'), "run 'tat': teacher: there is no run 'teached'; nearest: 'teacher'"),
    (tat(teacher=1), "run 'tat': teacher must be a text, got 1"),
    (dict(baseline='plain'), "baseline: there is no run 'plain'; known: teacher, student, tat"),
    (tat(start='tat'), "run 'tat': start is the run itself"),
    (
        dict(runs=with_run('student', start='tat')),
        'each the start of its forerunner: student -> tat -> student$',
    ),
    (
        dict(runs=with_run('teacher', seeds=(0, 2))),
        r"run 'tat' has seeds \[0, 1\] and its teacher 'teacher' \[0, 2\]: a teacher has a single",
    ),
    (
        dict(seeds=[3], runs=with_run('teacher', seeds=(0, 1))),
        r"'tat' has seeds \[3\] and its teacher 'teacher' \[0, 1",
    ),
    (dict(options=[1]), 'options must be a dict by dotted keys'),
    (dict(options={'randomness.seed': 1}), 'options: randomness.seed is set by the runner: name'),
    (
        tat(options=dict(default_hooks=dict(checkpoint=dict(rule='less')))),
        "run 'tat': options: default_hooks.checkpoint.rule is set by the runner",
    ),
    (
        dict(options={'train_pipeline': [dict(type='X')]}),
        'options: train_pipeline=.* cannot be handed over by --cfg-options',
    ),
    (
        tat(options={'model.teacher_ckpt': 'x.pth'}),
        "run 'tat' has a teacher and the option model.teacher_ckpt: one of the two",
    ),
    (dict(toy_data=dict(num=3)), "toy_data of layout 'voc' has no key 'num'; nearest: 'num_val'"),
    (dict(toy_data=3), r'toy_data must be a dict \(.*num_train, num_val, size, seed; .*, got 3'),
]


@pytest.mark.parametrize(('changes', 'error'), FAULTS)
def test_a_fault_is_named(suite, changes, error):
    with pytest.raises(SuiteError, match=error):
        suite(**changes)


def test_a_file_that_is_no_python(tmp_path):
    (tmp_path / 'bad.py').write_text('title = \n')
    with pytest.raises(SuiteError, match=r'bad.py cannot be read: .*[Ss]yntax'):
        load_suite(str(tmp_path / 'bad.py'))


def test_options_survive_the_command_line():
    """As mmengine's own parser reads them."""
    options = read_options(
        {'a': dict(b=(1, 2), c=[1.5, [True, None]]), 'd.e': 'x/y', 'f': 1e-5, 'g': (3,), 'h': []},
        'options',
    )
    assert as_arguments(options, '') == [
        'a.b=(1,2)',
        'a.c=[1.5,[True,None]]',
        'd.e=x/y',
        'f=1e-05',
        'g=(3)',
        'h=[]',
    ]


@pytest.mark.parametrize(
    'value', ['1', 'two words', 'x,y', '(1,2', 'None', {}, [dict(a=1)], object]
)
def test_an_option_that_would_not_survive(value):
    with pytest.raises(SuiteError, match='a=.* cannot be handed over by --cfg-options'):
        read_options({'a': value}, 'options')
