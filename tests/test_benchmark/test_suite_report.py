"""The figures of the report against hand-worked ones, its files and its pictures."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from mmrazor_tat.benchmark.execution.records import write_record
from mmrazor_tat.benchmark.report import pictures as plots
from mmrazor_tat.benchmark.report.summary import Spread, collect, rows
from mmrazor_tat.benchmark.report.write import write_report
from mmrazor_tat.benchmark.suites.definition import Run, Suite
from mmrazor_tat.benchmark.suites.jobs import Job, Key
from mmrazor_tat.benchmark.suites.options import SuiteError
from mmrazor_tat.visualization import figures

MACHINE = dict(processor='A processor', cores=4, threads=2, torch='2.13.0')
# Last values by seed. TaT - student by seed: 2, 6, 1: mean 3, standard deviation sqrt(7).
LAST = dict(teacher={0: 40.0}, student={0: 20.0, 1: 22.0, 2: 24.0}, tat={0: 22.0, 1: 28.0, 2: 25.0})


@pytest.fixture
def suite() -> Suite:
    def run(name: str, label: str, **more) -> Run:
        values = dict(teacher=None, start=None, paper=None, note=None, options={}, baseline=None)
        values.update(config=Path(f'{name}.py'), seeds=tuple(LAST[name]))
        return Run(name, label=label, **{**values, **more})

    runs = [
        run('teacher', 'teacher'),
        run('student', 'plain student', paper=72.07),
        run('tat', 'TaT', teacher='teacher', baseline='student', paper=75.8),
    ]
    runs = {of.name: of for of in runs}
    return Suite('s', Path('s.py'), 'A title', (0, 1, 2), 'mIoU', {}, None, runs)


@pytest.fixture
def jobs(suite, tmp_path) -> dict[Key, Job]:
    """Finished ones, with their records."""
    found = {}
    for name, by_seed in LAST.items():
        for seed, last in by_seed.items():
            teacher = Key('teacher', 0) if name == 'tat' else None
            folder = tmp_path / f'runs/{name}/seed{seed}'
            key = Key(name, seed)
            job = Job(key, suite.runs[name], folder, {}, {'a': '1'}, teacher, None, 'iter', 8, 7)
            found[key] = job
            metrics = dict(mIoU=metric(last + 1.5, last))
            if name == 'tat':
                metrics['squashed/mIoU'] = metric(last, last / 2)
            of = dict(status='finished', error=None, unit='iter', parameters=7, machine=MACHINE)
            of.update(seconds=60.0 * (seed + 1), peak_mib=1000.0 + seed, settings={'a': '1'})
            results = dict(metrics=metrics, iterations=8, gpu_mib=None)
            write_record(folder, dict(of, results=results))
    return found


def metric(first: float, last: float) -> dict:
    """Of two validations, the better one first."""
    return dict(last=last, best=first, best_step=4, curve=[(4, first), (8, last)])


def change(job: Job, **changes) -> None:
    """Some of a job's record."""
    record = json.loads((job.folder / 'run.json').read_text())
    write_record(job.folder, {**record, **changes})


def forget(*jobs: Job) -> None:
    for job in jobs:
        (job.folder / 'run.json').unlink()


@pytest.fixture
def report(suite, jobs, tmp_path):
    """A function that writes the report, with other ``runs`` than the suite's, and gives it."""

    def report(only=None, runs=None, with_plots: bool = False, **options) -> str:
        of = replace(suite, runs={**suite.runs, **(runs or {})})
        chosen = list(jobs.values()) if only is None else only
        command = 'python benchmark.py s'
        write_report(of, chosen, tmp_path, command, with_plots=with_plots, **options)
        return (tmp_path / 's.md').read_text()

    return report


def cells(text: str) -> dict[str, list[str]]:
    lines = [line for line in text.splitlines() if line.startswith('| ')]
    table = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return {row[0]: row[1:] for row in table}


def test_spread():
    spread = Spread.of([1.0, 2.0, 6.0])  # deviations -2, -1, 3: 14 / 2 = 7
    assert spread.mean == pytest.approx(3) and spread.std == pytest.approx(7**0.5)
    assert Spread.of([4.0]) == (4.0, None, 1)
    assert Spread.of([]) is None
    # 4.303: the 97.5 % quantile of Student's t with two degrees of freedom.
    half = 4.303 * (7 / 3) ** 0.5
    assert spread.interval == pytest.approx((3 - half, 3 + half), abs=1e-3)
    assert Spread.of([4.0]).interval is None


def test_figures(suite, jobs):
    teacher, student, tat = rows(suite, collect(list(jobs.values())))
    assert student.last['mIoU'] == pytest.approx((22.0, 2.0, 3))
    assert student.best['mIoU'] == pytest.approx((23.5, 2.0, 3))
    assert tat.last['mIoU'] == pytest.approx((25.0, 3.0, 3))
    assert tat.gain == pytest.approx((3.0, 7**0.5, 3))  # not sqrt(2^2 + 3^2): seeds are paired
    assert tat.last['squashed/mIoU'] == pytest.approx((12.5, 1.5, 3))
    assert teacher.last['mIoU'] == (40.0, None, 1)
    assert teacher.gain is None and student.gain is None
    assert student.finished.seconds.mean() == pytest.approx(120.0)
    assert student.finished.peak_mib.max() == 1002.0
    # The memory of a GPU is preferred.
    results = json.loads((jobs['student', 0].folder / 'run.json').read_text())['results']
    change(jobs['student', 0], results={**results, 'gpu_mib': 300})
    assert list(collect([jobs['student', 0]]).peak_mib) == [300]


def test_text_and_table(report):
    text = report(with_plots=True)
    assert text.startswith('# A title\n\nRun on A processor, 4 cores, 2 threads, torch 2.13.0.\n')
    assert '`python benchmark.py s`' in text
    assert '\n3 seeds a run. Mean ± standard deviation' in text
    assert 'its 95 % confidence interval' in text
    assert 'n.d.: it holds 0, the gain is not distinguishable from 0.' in text
    assert '](s_bars.png)' in text and '](s_curves.png)' in text
    # A single interval, records that name no teacher, no notes, nothing missing.
    for absent in ('by chance', 'teacher is one', '<sup>', 'Not finished', 'other settings'):
        assert absent not in text
    table = cells(text)
    assert table['run'] == [
        *('seeds', 'last mIoU', 'best mIoU', 'last squashed/mIoU', 'best squashed/mIoU'),
        *('gain over plain student', 'minutes per run', 'peak MiB', 'paper (its own training)'),
    ]
    assert table['teacher'] == ['1', '40.00', '41.50', '', '', '', '1.0', '1,000', '']
    assert table['plain student'] == (
        ['3', '22.00 ± 2.00', '23.50 ± 2.00', '', '', '', '2.0', '1,002', '72.07']
    )
    assert table['TaT'] == [
        *('3', '25.00 ± 3.00', '26.50 ± 3.00', '12.50 ± 1.50', '25.00 ± 3.00'),
        *('+3.00 ± 2.65 [-3.57, 9.57] n.d.', '2.0', '1,002', '75.80'),
    ]


def test_notes_are_numbered_below_the_table(report, suite, tmp_path):
    """Runs that share a text share its number."""
    notes = dict(teacher='One.', student='Two | x.', tat='One.')
    text = report(runs={name: replace(suite.runs[name], note=note) for name, note in notes.items()})
    labels = [label for label in cells(text) if '<sup>' in label]
    assert labels == ['teacher<sup>1</sup>', 'plain student<sup>2</sup>', 'TaT<sup>1</sup>']
    assert '|\n\n<sup>1</sup> One.\n\n<sup>2</sup> Two | x.\n\n' in text
    content = json.loads((tmp_path / 's.json').read_text())
    assert content['runs']['tat']['note'] == 'One.'


def test_what_is_missing_is_said(report, jobs):
    """A failed run, one that was not begun, and the gain over the seeds that both have."""
    change(jobs['student', 1], status='failed', error='ValueError: no', results=None)
    forget(jobs['tat', 2])
    table = cells(report())
    assert table['plain student'][:2] == ['2 of 3', '22.00 ± 2.83']
    assert table['TaT'][:2] == ['2 of 3', '25.00 ± 4.24']
    assert table['TaT'][5] == '+2.00 (1 of 2 seeds)'  # 22 - 20
    forget(jobs['tat', 0])
    text = report()
    assert cells(text)['TaT'][5] == ''  # of its one seed the baseline has failed
    missing = text.split('## Not finished')[1].strip().splitlines()
    assert missing == [
        '* student seed 1: failed: ValueError: no ([log](runs/student/seed1/run.log))',
        '* not run: tat seeds 0, 2',
    ]
    # Those that a failed teacher keeps from running, and other settings than the suite's.
    change(jobs['teacher', 0], status='failed', error='E')
    text = report()
    assert all(f'* tat seed {seed}: skipped: teacher failed' in text for seed in (0, 2))
    change(jobs['tat', 1], settings={'a': '2'})
    assert 'so not to be compared: tat seed 1.' in report()
    change(jobs['teacher', 0], status='finished', error=None)
    forget(jobs['tat', 1], *(job for key, job in jobs.items() if key.run == 'student'))
    assert '|\n\nNo run that is to be compared has finished yet.\n' in report()


def test_a_baseline_of_its_own(report, suite):
    """With two baselines each row names its own."""
    table = cells(report(runs=dict(student=replace(suite.runs['student'], baseline='teacher'))))
    assert table['run'][5:7] == ['gain over the baseline', 'baseline']
    assert table['plain student'][5:7] == ['-20.00 (1 of 3 seeds)', 'teacher']
    assert table['TaT'][5:7] == ['+3.00 ± 2.65 [-3.57, 9.57] n.d.', 'plain student']


def test_one_seed(report, jobs):
    text = report([jobs['student', 0]], with_plots=True)
    assert 'One seed a run. Minutes' in text
    assert cells(text)['plain student'][:2] == ['1', '20.00']
    text = report([job for key, job in jobs.items() if key.seed == 0])
    assert cells(text)['TaT'][5] == '+2.00'
    assert 'One seed shows no spread, so there is no interval' in text
    assert 'n.d.' not in text and 'confidence' not in text


def test_a_gain_that_is_distinguishable(report, jobs):
    """25 - 20, 27.5 - 22, 29 - 24: mean 5.17, deviation 0.29, interval 4.303 x 0.29 / sqrt(3)."""
    for seed, last in enumerate((25.0, 27.5, 29.0)):
        results = dict(metrics=dict(mIoU=metric(last, last)), iterations=8, gpu_mib=None)
        change(jobs['tat', seed], results=results)
    text = report()
    assert cells(text)['TaT'][3] == '+5.17 ± 0.29 [4.45, 5.88]'
    assert 'n.d.' not in text


def test_several_intervals_and_one_teacher(report, suite, jobs):
    def text(teacher: str) -> str:
        for seed in range(3):
            change(jobs['tat', seed], settings={'suite.teacher': teacher.format(seed)})
        return report(runs=dict(student=replace(suite.runs['student'], baseline='tat')))

    found = text("'teacher seed 0, 1f'")
    assert 'Each of the 2 intervals misses the true gain with a chance of 5 %' in found
    assert 'The teacher is one training with one seed' in found
    # A teacher of its own for each seed is in the spread.
    assert 'The teacher is one training' not in text("'teacher seed {}'")


def test_csv(report, jobs, tmp_path):
    for number, job in enumerate(jobs.values()):
        change(job, commit='ab'[number == 0] * 40, versions=dict(torch='2.13', mmseg='1.2.2'))
    header = report().split('| run |')[0]
    assert 'Made with torch 2.13, mmseg 1.2.2.' in header
    assert 'several commits' in header and 'aaaaaaaaaa (6 runs)' in header
    lines = list(csv.DictReader((tmp_path / 's.csv').open()))
    assert [(line['run'], line['seed']) for line in lines] == [
        (name, str(seed)) for name, by_seed in LAST.items() for seed in by_seed
    ]
    last = lines[-1]
    assert float(last['last mIoU']) == 25 and float(last['best squashed/mIoU']) == 25
    assert (last['best_step mIoU'], last['iterations'], last['parameters']) == ('4', '8', '7')
    assert (last['label'], last['status'], last['paper']) == ('TaT', 'finished', '75.8')
    assert float(last['seconds']) == 180 and float(last['peak_mib']) == 1002
    assert lines[0]['last squashed/mIoU'] == '' and lines[0]['error'] == ''


def test_json(report, suite, jobs, tmp_path):
    report(about=dict(commit='abc'))
    content = json.loads((tmp_path / 's.json').read_text())
    assert content['commit'] == 'abc' and content['command'] == 'python benchmark.py s'
    assert content['suite']['title'] == 'A title'
    tat = content['runs']['tat']
    assert (tat['teacher'], tat['label'], tat['paper']) == ('teacher', 'TaT', 75.8)
    assert 'settings' not in tat['seeds'][0] and tat['seeds'][0]['seconds'] == 60
    # 4.303 x sqrt(7 / 3) = 6.573
    interval = [pytest.approx(-3.573, abs=1e-3), pytest.approx(9.573, abs=1e-3)]
    assert tat['gain'] == dict(mean=3.0, std=pytest.approx(7**0.5), count=3, interval=interval)
    assert [of['seed'] for of in tat['seeds']] == [0, 1, 2]
    assert tat['seeds'][1]['results']['metrics']['mIoU']['curve'] == [[4, 29.5], [8, 28.0]]
    # The suite had another metric when it ran.
    error = "teacher seed 0 is finished without 'mDice', the suite's metric: its record has mIoU"
    with pytest.raises(SuiteError, match=error):
        write_report(replace(suite, metric='mDice'), list(jobs.values()), tmp_path, '')


def across(picture: np.ndarray, colour: str, below: int = 0) -> float:
    """How far to the right the dot of a colour is, in pixels."""
    is_colour = (picture[below:] == ImageColor.getrgb(colour)).all(-1)
    assert is_colour.sum() > 40
    return float(is_colour.nonzero()[1].mean())


def test_pictures(report, tmp_path):
    report(with_plots=True)
    picture = np.array(Image.open(tmp_path / 's_bars.png').convert('RGB'))
    # Below the legend.
    teacher, student, tat = (
        across(picture, colour, below=40)
        for colour in (plots.TEACHER, plots.BASELINE, plots.METHOD)
    )
    # The means are 40, 22 and 25, wherever the axis begins.
    assert (tat - student) / (teacher - student) == pytest.approx(3 / 18, abs=0.01)
    curves = np.array(Image.open(tmp_path / 's_curves.png').convert('RGB'))
    for colour in (figures.ORANGE, figures.BLUE):
        assert (curves == ImageColor.getrgb(colour)).all(-1).sum() > 300
