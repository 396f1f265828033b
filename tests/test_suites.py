"""The shipped suites for segmentation: they name every recipe, the paper's figures, and agree with
one another. Those for classification: test_classification_suites.py."""

from ast import literal_eval
from pathlib import Path

import pytest
from mmengine import Config

from mmrazor_tat.benchmark.suites import Plan, load_suite
from mmrazor_tat.benchmark.suites.jobs import Job, batch_warning

CONFIGS = Path(__file__).parent.parent / 'configs'
ON_IMAGENET = ('imagenet', 'ablation_epsilon', 'ablation_projections')
CLASSIFICATION = ('cifar100', 'cifar_small', 'tiny_cifar', 'tiny_cifar_tat', *ON_IMAGENET)
ALL = sorted(path.stem for path in (CONFIGS / 'suites').glob('*.py'))
SUITES = [name for name in ALL if name not in CLASSIFICATION]
ABLATIONS = [name for name in SUITES if name.startswith('ablation')]
METHODS = ('at', 'cwd', 'fitnet', 'ickd', 'kd', 'ofd', 'review_kd', 'tat')
PAPER = {
    'voc12aug': {
        'r18': dict(none=72.07, kd=73.74, at=73.01, fitnet=73.31, ofd=73.98, ickd=75.01, tat=75.76),
        'mobilenet-v2': dict(
            none=68.46, kd=71.73, at=71.39, fitnet=69.23, ofd=72.30, ickd=72.79, tat=73.85
        ),
    },
    'coco-stuff10k': {
        'r18': {'none': 26.33, 'review-kd': 26.73, 'tat': 28.75},
        'mobilenet-v2': {'none': 26.29, 'review-kd': 26.63, 'tat': 28.05},
    },
}


def test_all_are_here():
    ablations = [f'ablation_{of}' for of in ('anchors', 'attention', 'groups', 'patches', 'views')]
    tables = [f'{data}_{how}' for data in PAPER for how in ('mmseg', 'paper')]
    rest = ['tat_sieve', 'tat_sizes', 'tat_study']
    rest += [of + kind for of in ('tiny', 'voc_small') for kind in ('', '_balanced')]
    assert sorted([*ablations, *tables, *rest]) == SUITES


@pytest.mark.parametrize('name', ALL)
def test_three_seeds_from_the_same_weights(name):
    suite = load_suite(name)
    seeds = (0,) if name == 'tat_sieve' else (0, 1, 2)
    metric = 'accuracy/top1' if name in CLASSIFICATION else 'mIoU'
    assert suite.seeds == seeds and suite.metric == metric
    for run in suite.runs.values():
        assert run.config.exists()
        if run.baseline is not None:
            assert run.seeds == seeds
            assert suite.start_of(run) == run.baseline  # the plain student's
            is_published = 'mmseg' in name or name in ON_IMAGENET
            assert (run.teacher is None) == is_published


def test_the_tables_name_every_recipe():
    """But TaT with DeepLabV3+ in mmseg's protocol, which no other method has."""
    named = {
        run.config.resolve()
        for name in SUITES
        if 'mmseg' in name or 'paper' in name
        for run in load_suite(name).runs.values()
    }
    shipped = {
        path.resolve()
        for folder in METHODS + ('students', 'teachers')
        for path in (CONFIGS / folder).glob('*.py')
        if not ('deeplabv3plus' in path.name and '512x512' in path.name)
        and not path.stem.endswith(('_cifar100', '_imagenet'))
    }
    assert named == shipped


@pytest.mark.parametrize('data', PAPER)
@pytest.mark.parametrize('protocol', ['mmseg', 'paper'])
def test_the_paper_s_figures(data, protocol):
    runs = load_suite(f'{data}_{protocol}').runs
    for student, figures in PAPER[data].items():
        for method in ('none', 'kd', 'at', 'fitnet', 'ofd', 'ickd', 'review-kd', 'cwd', 'tat'):
            name = student if method == 'none' else f'{student}-{method}'
            assert runs[name].paper == figures.get(method), name
            assert f'_{student}-' in runs[name].config.name and data in runs[name].config.name
    if protocol == 'paper':
        assert runs['teacher'].paper == (78.43 if data == 'voc12aug' else 33.10)


@pytest.fixture(scope='module')
def jobs(tmp_path_factory) -> dict[str, dict[str, Job]]:
    """By suite and run, of those that can share a folder."""
    out = tmp_path_factory.mktemp('out')
    found = {}
    for name in ('voc12aug_paper', *ABLATIONS):
        plan = Plan(load_suite(name, [0]), out)
        found[name] = {job.key.run: job for job in plan.jobs()}
    return found


@pytest.mark.parametrize('suite', ['voc12aug_mmseg', 'voc12aug_paper', 'ablation_views'])
def test_anchor_points_alone_stand_beside_their_own_figure(suite):
    """Of kernel 4, which the recipe has: the paper's 75.37 is kernel 2."""
    run = load_suite(suite).runs['r18-tat-anchor']
    assert run.paper == 75.27 and 'kernel 2' in run.note
    config = Config.fromfile(run.config)
    (view,) = config.model.distiller.distill_losses.loss_tat.views
    assert view.kernel == 4


@pytest.mark.parametrize('data', PAPER)
@pytest.mark.parametrize('protocol', ['mmseg', 'paper'])
def test_what_differs_from_the_paper_s_comparison_is_noted(data, protocol, repo):
    runs = load_suite(f'{data}_{protocol}').runs
    noted = {name for name, run in runs.items() if run.note is not None}
    students = ('r18', 'mobilenet-v2')
    methods = ('kd', 'at', 'fitnet', 'ofd', 'ickd', 'review-kd', 'tat')
    expected = {f'{student}-{method}' for student in students for method in methods}
    assert noted == expected | ({'r18-tat-anchor'} if data == 'voc12aug' else set())
    for name, folder in (('fitnet', 'fitnet'), ('review-kd', 'review_kd')):
        note = runs[f'r18-{name}'].note
        assert f'configs/{folder}/README.md' in note and '0.1 there, TaT 1.6' in note
        assert '0.00625' in (repo / f'configs/{folder}/README.md').read_text()
    assert 'columns of the feature map' in runs['mobilenet-v2-kd'].note
    for name, here, there in (('kd', 10, '80'), ('at', 1000, '26,600'), ('ickd', 2.5, '0.2')):
        run = runs[f'r18-{name}']
        (loss,) = Config.fromfile(run.config).model.distiller.distill_losses.values()
        note = run.note
        assert loss.loss_weight == here and f'weight is {here:g}' in note and there in note
        assert there in (repo / f'configs/{name}/README.md').read_text()
    assert 'divide the cross entropy by their batch size, 12' in runs['mobilenet-v2-ofd'].note


@pytest.mark.parametrize(
    'suite, option, figures',
    [
        ('anchors', 'kernel', {2: 75.37, 4: 75.27, 8: 74.79, 16: 74.56}),
        ('patches', 'groups', {16: 75.33, 64: 75.45, 256: 75.50, 1024: 75.47}),
        ('patches', 'grid', {4: 75.33, 8: 75.45, 16: 75.50, 32: 75.47}),
        ('groups', 'groups', {1: 75.26, 32: 75.57, 64: 75.63, 128: 75.62, 256: 75.50}),
    ],
)
def test_the_paper_s_ablations(suite, option, figures, jobs):
    """What is trained in the end, be it the run's option or the recipe's."""
    key = f'model.distiller.distill_losses.loss_tat.views.0.{option}'
    found = {}
    for job in jobs[f'ablation_{suite}'].values():
        if key in job.settings:
            value = literal_eval(job.settings[key])
            found[value[0] if option == 'grid' else value] = job.run.paper
    assert found == figures


def test_the_ablation_of_the_projections(jobs):
    """One more at a time: phi, which the other two are tried beside, then gamma, then theta."""
    loss = 'model.distiller.distill_losses.loss_tat'
    of = jobs['ablation_attention']
    learnt = [
        set(literal_eval(job.settings.get(f'{loss}.projections', "('gamma', 'phi', 'theta')")))
        for job in of.values()
        if 'tat' in job.key.run
    ]
    assert learnt[:4] == [set(), {'phi'}, {'gamma', 'phi'}, {'gamma', 'phi', 'theta'}]
    changed = [set(job.settings) for job in list(of.values())[-2:]]
    assert len(learnt) == 6
    assert f'{loss}.softmax_over' in changed[0] and f'{loss}.scale' in changed[1]
    labels = [job.run.label for job in of.values()][2:6]
    assert labels == ['no projection', 'phi', 'gamma + phi', 'theta + gamma + phi']


def test_equal_trainings_have_equal_names(jobs):
    """So that one folder serves all of these suites without training a run twice."""
    named: dict[str, Job] = {}
    by_fingerprint: dict[str, str] = {}
    count = 0
    for suite, of in jobs.items():
        for name, job in of.items():
            count += 1
            first = named.setdefault(name, job)
            assert job.fingerprint == first.fingerprint, (suite, name)
            assert job.run.options == first.run.options, (suite, name)
            assert by_fingerprint.setdefault(job.fingerprint, name) == name, suite
    # Teacher and plain student in all five; TaT and its three views, the recipe's kernel and
    # groups, TaT beside other projections, and 256 groups in two ablations.
    assert count - len(named) == 5 * 2 + 4 + 1 + 1 + 1 + 1


def test_the_paper_s_protocol_has_its_batch_in_one_process(jobs):
    assert batch_warning(list(jobs['voc12aug_paper'].values())) is None
