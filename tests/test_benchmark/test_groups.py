"""Runs in groups: a table and a panel each, and how the groups compare."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from mmrazor_tat.benchmark.execution.records import write_record
from mmrazor_tat.benchmark.report import pictures as plots
from mmrazor_tat.benchmark.report.summary import collect, rows
from mmrazor_tat.benchmark.report.write import write_report
from mmrazor_tat.benchmark.suites.definition import Run, Suite
from mmrazor_tat.benchmark.suites.jobs import Job, Key
from mmrazor_tat.visualization.figures import BLUE, ORANGE, VERMILION

METRIC = 'accuracy/top1'
A, B = 'ResNet-56 -> ResNet-20', 'VGG-13 -> VGG-8'
# Label, group, teacher, baseline, paper and the last values by seed.
RUNS = {
    'resnet56': ('ResNet-56', None, None, None, 72.34, [72.0]),
    'vgg13': ('VGG-13', None, None, None, None, [74.0]),
    'vgg': ('plain student', B, None, None, 70.36, [70.0, 71.0]),
    'vgg-kd': ('KD', B, 'vgg13', 'vgg', 72.98, [72.0, 74.0]),
    'resnet': ('plain student', A, None, None, None, [69.0, 69.5]),
    'resnet-kd': ('KD', A, 'resnet56', 'resnet', None, [70.0, 70.5]),
    'resnet-tat': ('TaT', A, 'resnet56', 'resnet', 71.59, []),
}


@pytest.fixture
def suite() -> Suite:
    runs = {
        name: Run(
            name,
            Path('a.py'),
            label=label,
            seeds=(0,) if group is None else (0, 1),
            note='Mind it.' if label == 'KD' else None,
            teacher=teacher,
            start=None,
            paper=paper,
            options={},
            baseline=baseline,
            group=group,
        )
        for name, (label, group, teacher, baseline, paper, _) in RUNS.items()
    }
    return Suite('s', Path('s.py'), 'A title', (0, 1), METRIC, {}, None, runs)


@pytest.fixture
def jobs(suite, tmp_path) -> list[Job]:
    found = []
    for name, run in suite.runs.items():
        for seed in run.seeds:
            folder = tmp_path / f'runs/{name}/seed{seed}'
            teacher = None if run.teacher is None else Key(run.teacher, 0)
            found.append(Job(Key(name, seed), run, folder, {}, {}, teacher, None, 'epoch', 8, None))
            for last in RUNS[name][-1][seed : seed + 1]:
                of = dict(last=last, best=last + 1, best_step=4, curve=[(4, last + 1), (8, last)])
                content = dict(status='finished', seconds=60.0, peak_mib=100.0, unit='epoch')
                content.update(error=None, settings={})
                results = dict(metrics={METRIC: of}, iterations=8, gpu_mib=None)
                write_record(folder, dict(content, results=results))
    return found


@pytest.fixture
def text(suite, jobs, tmp_path) -> str:
    write_report(suite, jobs, tmp_path, '')
    return (tmp_path / 's.md').read_text()


@pytest.fixture
def figures(monkeypatch) -> list:
    """Those that are drawn, in place of their files."""
    drawn = []
    monkeypatch.setattr(plots, 'save_figure', lambda figure, path: drawn.append(figure))
    return drawn


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close('all')


def tables(text: str) -> list[list[list[str]]]:
    """Cells by table and line, without the ruler."""
    paragraphs = [p for p in text.split('\n\n') if p.startswith('| ')]
    cells = [
        [[c.strip() for c in line.strip('|').split('|')] for line in p.splitlines()]
        for p in paragraphs
    ]
    return [[table[0], *table[2:]] for table in cells]


def test_a_table_a_group(text, tmp_path):
    teachers, summary, of_b, of_a = tables(text)
    assert text.index('| ResNet-56 |') < text.index('by group') < text.index(f'\n## {B}\n')
    headings = [line for line in text.splitlines() if line.startswith('## ')]
    assert headings == [f'## {B}', f'## {A}', '## Notes', '## Not finished']
    ends = ['minutes per run', 'peak MiB', 'paper (its own training)']
    assert teachers[0] == ['run', 'seeds', f'last {METRIC}', f'best {METRIC}', *ends]
    assert [line[0] for line in teachers[1:]] == ['ResNet-56', 'VGG-13']
    assert of_b[0][4] == of_a[0][4] == 'gain over plain student'
    assert [line[:3] for line in of_b[1:]] == [
        ['plain student', '2', '70.50 ± 0.71'],
        ['KD<sup>1</sup>', '2', '73.00 ± 1.41'],
    ]
    # 2 and 3 above its own plain student, seed by seed.
    assert of_b[2][4] == '+2.50 ± 0.71 [-3.85, 8.85] n.d.'
    assert of_a[2][4].startswith('+1.00 ± 0.00 [1.00, 1.00]')
    assert [line[0] for line in of_a[1:]] == ['plain student', 'KD<sup>1</sup>', 'TaT']
    # Said once for all.
    assert text.count('<sup>1</sup> Mind it.') == text.count('## Notes') == 1
    assert text.count('A gain is the mean') == 1
    assert '## Notes\n\n<sup>1</sup> Mind it.\n\n2 seeds a run.' in text

    # How the groups compare.
    assert f"\n\nLast {METRIC} by group, in brackets the paper's:\n\n| run |" in text
    assert summary == [
        ['run', B, A],  # of first appearance
        ['plain student', '70.50 ± 0.71 (paper 70.36)', '69.25 ± 0.35'],
        ['KD', '73.00 ± 1.41 (paper 72.98)', '70.25 ± 0.35'],
        ['TaT', '', '(paper 71.59)'],  # there is none; it has not finished
    ]
    with (tmp_path / 's.csv').open() as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0])[:4] == ['run', 'seed', 'label', 'group']
    groups = {line['run']: line['group'] for line in lines}
    assert (groups['vgg13'], groups['vgg-kd'], groups['resnet-tat']) == ('', B, A)
    of = json.loads((tmp_path / 's.json').read_text())['runs']
    assert (of['vgg13']['group'], of['vgg-kd']['group'], of['resnet']['group']) == (None, B, A)
    for end in ('bars', 'curves'):
        picture = np.array(Image.open(tmp_path / f's_{end}.png').convert('RGB'))
        assert picture.shape[1] > 1400 and picture.min() < 50  # two columns


def test_groups_without_a_label_in_common_are_not_compared(suite, jobs, tmp_path):
    runs = {
        name: replace(run, label=name if run.group == A else run.label, paper=None)
        for name, run in suite.runs.items()
    }
    without = {name: replace(run, group=None) for name, run in runs.items()}
    for of, count in ((runs, 3), (without, 1)):
        write_report(replace(suite, runs=of), jobs, tmp_path, '', with_plots=False)
        text = (tmp_path / 's.md').read_text()
        assert 'by group' not in text and len(tables(text)) == count
    assert '## Notes' not in text


def test_a_panel_a_group(suite, jobs, tmp_path, figures):
    """Of the last values, each on an axis of its own."""
    plots.plot_bars(suite, rows(suite, collect(jobs)), tmp_path / 'a.png')
    (figure,) = figures
    assert [axis.get_title(loc='left') for axis in figure.axes] == ['', B, A, '']
    drawn = figure.axes[:3]
    labels = [[tick.get_text() for tick in axis.get_yticklabels()] for axis in drawn]
    assert labels == [['ResNet-56', 'VGG-13'], ['plain student', 'KD'], ['plain student', 'KD']]
    _, of_b, of_a, _ = figure.axes
    assert {axis.get_xlabel() for axis in drawn} == {'last top-1 accuracy'}
    # All that a group shows lies within, and its baseline's line is at its mean.
    for axis, (least, greatest), mean in ((of_b, (70, 74.42), 70.5), (of_a, (69, 70.61), 69.25)):
        left, right = axis.get_xlim()
        assert least - 1 < left < least and greatest < right < greatest + 1
        dashed = [line for line in axis.lines if line.get_linestyle() == '--']
        assert [list(line.get_xdata()) for line in dashed] == [[mean, mean]]
    assert len(figure.legends) == 1


def test_curves_of_one_label_look_alike(suite, jobs, tmp_path, figures):
    # TaT comes first in one group: its colour is not taken by KD of the other.
    runs = {**suite.runs, 'vgg-kd': replace(suite.runs['vgg-kd'], label='TaT')}
    suite = replace(suite, runs=runs)
    plots.plot_curves(suite, rows(suite, collect(jobs)), tmp_path / 'a.png')
    (figure,) = figures
    panels = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title(loc='left') for axis in panels] == [B, A]
    looks = [
        {line.get_label(): (line.get_color(), *line.get_ydata()) for line in axis.lines}
        for axis in panels
    ]
    assert looks[0] == {
        'teacher': ('black', 74.0, 74.0),
        'plain student': (ORANGE, 71.5, 70.5),
        'TaT': (BLUE, 74.0, 73.0),
    }
    assert looks[1] == {
        'teacher': ('black', 72.0, 72.0),
        'plain student': (ORANGE, 70.25, 69.25),
        'KD': (VERMILION, 71.25, 70.25),
    }
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ['teacher', 'plain student', 'TaT', 'KD']
    assert panels[0].get_xlabel() == 'epochs' and panels[0].get_ylabel() == 'top-1 accuracy'
