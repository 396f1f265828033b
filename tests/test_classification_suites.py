"""The suites for classification: every recipe, the paper's figures, networks that share weights."""

from pathlib import Path

import pytest

from mmrazor_tat.benchmark.suites import Plan, load_suite

CONFIGS = Path(__file__).parent.parent / 'configs'
TABLES = ('cifar100', 'imagenet')
ABLATIONS = ('ablation_epsilon', 'ablation_projections')
TINY = ('tiny_cifar', 'tiny_cifar_tat', 'cifar_small')
PAIRS = 'wrn-40-2-wrn-16-2', 'wrn-40-2-wrn-40-1', 'resnet56-resnet20', 'resnet110-resnet20'
PAIRS += 'resnet110-resnet32', 'resnet32x4-resnet8x4', 'vgg13-vgg8'
# The paper's Table 1, by method over the pairs.
CIFAR100 = {
    'kd': (74.92, 73.54, 70.66, 70.67, 73.08, 73.33, 72.98),
    'fitnet': (73.58, 72.24, 69.21, 68.99, 71.06, 73.50, 71.02),
    'at': (74.08, 72.77, 70.55, 70.22, 72.31, 73.44, 71.43),
    'sp': (73.83, 72.43, 69.67, 70.04, 72.69, 72.94, 72.68),
    'cc': (73.56, 72.21, 69.63, 69.48, 71.48, 72.97, 70.71),
    'rkd': (73.35, 72.22, 69.61, 69.25, 71.82, 71.90, 71.48),
    'pkt': (74.54, 73.45, 70.34, 70.25, 72.61, 73.64, 72.88),
    'fsp': (72.91, None, 69.95, 70.11, 71.89, 72.62, 70.20),
    'nst': (73.68, 72.24, 69.60, 69.53, 71.96, 73.30, 71.53),
    'crd': (75.48, 74.14, 71.16, 71.46, 73.48, 75.51, 73.94),
    'ickd': (75.64, 74.33, 71.76, 71.68, 73.89, 75.25, 73.42),
    'tat': (76.06, 74.97, 71.59, 71.70, 74.05, 75.89, 74.39),
    **dict.fromkeys(('afd', 'review-kd', 'sckd', 'tat-kl'), (None,) * 7),
}
NETWORKS = {
    **{'wrn-40-2': 75.61, 'resnet56': 72.34, 'resnet110': 74.31, 'resnet32x4': 79.42},
    **{'vgg13': 74.64, 'wrn-16-2': 73.26, 'wrn-40-1': 71.98, 'resnet20': 69.06},
    **{'resnet32': 71.14, 'resnet8x4': 72.50, 'vgg8': 70.36},
}
# Table 2: with KL or without.
IMAGENET = {
    'without KL': {
        **{'at': 70.59, 'crd': 71.17, 'afd': 71.38, 'ickd': 71.59, 'review-kd': 71.61},
        **{'tat': 72.07, 'tat-released': 72.07, 'tat-paper': None},
    },
    'with KL': {
        **{'kd': 70.68, 'sckd': 70.87, 'cc-kl': 70.74, 'rkd-kl': 71.34},
        **{'tat-kl': 72.41, 'tat-released-kl': 72.41},
    },
}


def test_the_tables_name_every_recipe():
    named = {run.config.resolve() for name in TABLES for run in load_suite(name).runs.values()}
    shipped = [*CONFIGS.glob('*/*_cifar100.py'), *CONFIGS.glob('*/*_imagenet.py')]
    assert named == {path.resolve() for path in shipped}


def test_the_paper_s_figures_on_cifar100():
    runs = load_suite('cifar100').runs
    expected = dict(NETWORKS)
    for method, figures in CIFAR100.items():
        expected.update({f'{pair}-{method}': figure for pair, figure in zip(PAIRS, figures)})
    del expected['wrn-40-2-wrn-40-1-fsp']  # "NA", and no recipe
    assert {name: run.paper for name, run in runs.items()} == expected
    groups = list(dict.fromkeys(run.group for run in runs.values()))
    assert groups[:3] == [None, 'WRN-40-2 -> WRN-16-2', 'WRN-40-2 -> WRN-40-1'] and len(groups) == 8
    for pair in PAIRS:
        for method in CIFAR100.keys() - ({'fsp'} if pair.endswith('40-1') else set()):
            run = runs[f'{pair}-{method}']
            assert f'{run.teacher}-{run.start}' == pair
            assert run.config.name.startswith(f'{method}_{run.teacher}_{run.start}_')


def test_the_paper_s_figures_on_imagenet():
    runs = load_suite('imagenet').runs
    assert runs['resnet18'].paper == 70.04
    found = {group: {} for group in IMAGENET}
    for name, run in runs.items():
        if run.group is not None:
            found[run.group][name] = run.paper
            assert run.config.name.startswith(f'{name}_resnet34_resnet18_')
    assert found == IMAGENET


def test_what_differs_on_imagenet_is_noted():
    runs = load_suite('imagenet').runs
    for name, method, fact in (
        ('ickd', 'ickd', "TaT's authors released"),
        ('cc-kl', 'cc', 'another norm'),
        ('rkd-kl', 'rkd', "not TaT's authors'"),
        ('review-kd', 'review_kd', 'ReLU in place'),
    ):
        assert fact in runs[name].note and f'configs/{method}/README.md' in runs[name].note
    on_cifar = load_suite('cifar100').runs
    assert on_cifar['resnet56-resnet20-rkd'].note is None


def test_the_ablations_and_the_tiny_suites():
    loss = 'model.distiller.distill_losses.loss_tat'
    runs = load_suite('ablation_projections').runs
    assert {name: run.paper for name, run in runs.items() if run.paper is not None} == {
        **{'resnet18': 70.04, 'tat-kl-no-projections': 72.22, 'tat-kl': 72.41},
        'tat-kl-theta': 72.35,
    }
    assert runs['tat-kl-no-projections'].options == {f'{loss}.projections': ()}
    runs = load_suite('ablation_epsilon').runs
    swept = [run.options.get(f'{loss}.loss_weight', 0.2) for run in list(runs.values())[1:]]
    assert swept == [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]  # 0.2: the recipe's
    methods = set(load_suite('tiny_cifar').runs) - {'teacher', 'student'}
    assert methods == CIFAR100.keys() | {'tat-released', 'tat-paper'}
    runs = load_suite('tiny_cifar_tat').runs
    swept = [run.options.get(f'{loss}.loss_weight', 1.0) for run in list(runs.values())[2:7]]
    assert swept == [1.0, 0.1, 0.3, 3.0, 10.0]


@pytest.mark.mmpretrain
@pytest.mark.parametrize('names', [('imagenet', *ABLATIONS), TINY])
def test_equal_trainings_have_equal_names(names, tmp_path):
    """So that one folder serves all of these suites without training a run twice."""
    names = [name for name in names if name != 'cifar_small']  # other data
    jobs = [
        {job.key.run: job for job in Plan(load_suite(name, [0]), tmp_path).jobs()} for name in names
    ]
    fingerprints, names_of = {}, {}
    for of in jobs:
        for name, job in of.items():
            assert fingerprints.setdefault(name, job.fingerprint) == job.fingerprint
            assert names_of.setdefault(job.fingerprint, name) == name
    shared = sum(map(len, jobs)) - len(fingerprints)
    # The plain student in all; on ImageNet TaT's two recipes, else the teacher, TaT's recipe and
    # its families.
    assert shared == (2 + 1 + 1 if len(jobs) == 3 else 1 + 1 + 3)


@pytest.mark.mmpretrain
def test_the_networks_of_a_pair_fit(tmp_path):
    """Planning compares every teacher and every student with the network that is trained."""
    jobs = Plan(load_suite('cifar100', [0]), tmp_path).jobs(['vgg13-vgg8-*', 'resnet56-*'])
    assert len(jobs) == 2 + 2 * 16 and jobs[0].key.run == 'resnet56'
    parameters = {job.key.run: job.parameters for job in jobs}
    assert parameters['vgg13'] == 9_462_180 and parameters['resnet56-resnet20-kd'] == 278_324
