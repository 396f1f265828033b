"""Training curves: the log as series, and what the picture holds."""

import json
import math
import os

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from mmrazor_tat.visualization.curves import (
    Run,
    axes_of,
    draw_runs,
    plot_runs,
    read_run,
    read_runs,
    series,
)
from mmrazor_tat.visualization.curves.axes import columns_of
from mmrazor_tat.visualization.curves.run import labels_of
from mmrazor_tat.visualization.figures import plt

NAN = math.nan
BOTH = 'task loss and total loss'


@pytest.fixture
def log(tmp_path):
    """A function that writes the scalars.json of one start, and gives the work dir."""

    def log(run: str, start: str, *lines: dict, end: str = ''):
        folder = tmp_path / run / start / 'vis_data'
        folder.mkdir(parents=True)
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        (folder / 'scalars.json').write_text(text + end)
        return tmp_path / run

    return log


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close('all')


def plain(step: int, loss: float = 1.0, lr: float = 0.1, **more) -> dict:
    return {'lr': lr, 'loss': loss, 'decode.loss_ce': loss, 'iter': step, 'step': step, **more}


def distilled(step: int, task: float = 3.0, kd: float = 1.0, lr: float = 0.1, **more) -> dict:
    return {
        'lr': lr,
        'loss': task + kd,
        'student.decode.loss_ce': 0.75 * task,
        'student.aux.loss_ce': 0.25 * task,
        'student.decode.acc_seg': 50.0,
        'distill.loss_kd': kd,
        'iter': step,
        'step': step,
        **more,
    }


def tat(step: int, patch: float, anchor: float) -> dict:
    line = distilled(step, 3.0, patch + anchor)
    line['distill.loss_tat'] = line.pop('distill.loss_kd')
    return {**line, 'distill.tat_patch': patch, 'distill.tat_anchor': anchor}


def points(axis) -> list:
    """Of its lines, as (colour, [(x, y), ...])."""
    return [(to_hex(line.get_color()), line.get_xydata().tolist()) for line in axis.lines]


def logged(table, name: str) -> tuple:
    """(iterations, values) under a name."""
    values = series(table, name)
    return values.index.tolist(), values.tolist()


def columns(run, title: str) -> dict:
    return {name: logged(columns_of(run)[title], name) for name in columns_of(run)[title]}


def title(axis) -> str:
    legend = axis.get_legend()
    return axis.get_title(loc='left') if legend is None else legend.get_title().get_text()


def titles(figure) -> list[str]:
    return [title(axis) for axis in figure.axes]


class TestReading:
    def test_of_what_was_done_twice_the_later_start_counts(self, log):
        log('r', '20260101_000000', plain(2, 9.0), dict(mIoU=1.0, step=2), plain(4, 8.0))
        log('r', '20260101_000001', plain(6, 7.0), dict(mIoU=2.0, step=6), plain(8), end='{"lr": 0')
        folder = log('r', '20260101_000002', plain(6, 5.0), plain(8, 4.0), dict(mIoU=3.0, step=8))
        run = read_run(folder)
        assert logged(run.training, 'loss') == ([2, 4, 6, 8], [9.0, 8.0, 5.0, 4.0])
        assert logged(run.validation, 'mIoU') == ([2, 8], [1.0, 3.0])
        assert run.iterations == 8

    @pytest.mark.parametrize(
        ('first', 'second', 'losses', 'validations'),
        [
            # Begun anew: it replaces the longer one.
            ([plain(2), plain(4), dict(mIoU=1.0, step=4)], [plain(2, 5.0)], {2: 5.0}, {}),
            # A validation of the resumed weights keeps their training.
            (
                [plain(2), plain(4), plain(6)],
                [dict(mIoU=7.0, step=4), plain(6, 5.0)],
                {2: 1.0, 4: 1.0, 6: 5.0},
                {4: 7.0},
            ),
            # An evaluation alone changes nothing.
            ([plain(2), dict(mIoU=6.0, step=2)], [dict(mIoU=99.0, step=0)], {2: 1.0}, {2: 6.0}),
        ],
    )
    def test_two_starts(self, log, first, second, losses, validations):
        log('r', '1', *first)
        run = read_run(log('r', '2', *second))
        assert run.training['loss'].to_dict() == losses
        assert run.validation.get('mIoU', pd.Series(dtype=float)).to_dict() == validations

    def test_epochs_of_validations_become_iterations(self, log):
        """Of 7 iterations, logged every 2, without the last: 2, 4, 6, 9, 11, 13."""
        first = [plain(n, epoch=1) for n in (2, 4, 6)]
        second = [plain(n, epoch=2) for n in (9, 11, 13)]
        run = read_run(log('r', '1', *first, dict(mIoU=1.0, step=1), *second))
        assert logged(run.validation, 'mIoU') == ([7], [1.0])
        run = read_run(log('r', '2', plain(16, epoch=3), dict(mIoU=2.0, step=3)))
        assert logged(run.validation, 'mIoU') == ([7, 21], [1.0, 2.0])
        # The only epoch ends at its last line.
        lines = plain(4, epoch=1), plain(8, epoch=1), dict(mIoU=1.0, step=1)
        assert logged(read_run(log('s', '1', *lines)).validation, 'mIoU') == ([8], [1.0])
        # As mmseg's own logger counts: iterations in an epoch-based run.
        lines = plain(4, epoch=1), dict(mIoU=1.0, step=6), plain(10, epoch=2)
        assert logged(read_run(log('t', '1', *lines)).validation, 'mIoU') == ([6], [1.0])

    def test_not_finite(self, log):
        lines = plain(1), plain(2, NAN), plain(3, math.inf), plain(4, 2.0)
        iterations, values = logged(read_run(log('r', '1', *lines)).training, 'loss')
        assert iterations == [1, 2, 3, 4] and values[0] == 1.0 and values[3] == 2.0
        assert math.isnan(values[1]) and math.isnan(values[2])


class TestColumns:
    def test_losses_and_shares(self, log):
        line = {**distilled(5, 2.0, 1.5), 'distill.loss_tat': 0.5, 'loss': 4.0}
        run = read_run(log('r', '1', line))
        assert columns(run, BOTH) == dict(task=([5], [2.0]), total=([5], [4.0]))
        weighted = columns(run, 'distillation losses (weighted)')
        assert weighted == dict(kd=([5], [1.5]), tat=([5], [0.5]))
        shares = columns(run, 'share of the total loss')
        assert shares == dict(kd=([5], [0.375]), tat=([5], [0.125]))

    def test_gradients_and_factors_are_no_losses(self, log):
        more = {
            'grad_share/feature/task': 0.25,
            'grad_share/feature/loss_kd': 0.75,
            'grad_share/stage/task': 1.0,
            'factor/kd': 0.5,
        }
        run = read_run(log('r', '1', distilled(1, **more)))
        assert columns(run, BOTH) == dict(task=([1], [3.0]), total=([1], [4.0]))
        assert columns(run, 'share of the gradient at feature') == dict(kd=([1], [0.75]))
        assert 'share of the gradient at stage' not in columns_of(run)
        assert columns(run, 'scheduled factor') == dict(kd=([1], [0.5]))

    def test_the_learning_rate_of_several_groups(self, log):
        run = read_run(log('r', '1', plain(1, lr=0.1, base_lr=0.7)))
        assert columns(run, 'learning rate') == dict(lr=([1], [0.1]))
        run = read_run(log('s', '1', {'loss': 1.0, 'g.lr': 0.3, 'd.lr': 0.4, 'iter': 1, 'step': 1}))
        assert columns(run, 'learning rate') == dict(lr=([1], [0.3]))

    def test_the_share_of_a_total_of_zero(self, log):
        run = read_run(log('r', '1', distilled(1, 0.0, 0.0), distilled(2)))
        (iterations, values) = columns(run, 'share of the total loss')['kd']
        assert iterations == [1, 2] and math.isnan(values[0]) and values[1] == 0.25


def test_labels_have_as_many_parents_as_needed(tmp_path):
    def of(*folders, labels=(None,) * 3) -> list[str]:
        return labels_of([Run(tmp_path / of, label) for of, label in zip(folders, labels)])

    assert of('kd/seed0', 'tat/seed0', 'student') == ['kd/seed0', 'tat/seed0', 'student']
    assert of('a/kd/s', 'b/kd/s') == ['a/kd/s', 'b/kd/s']
    assert of('kd/seed0', 'tat/seed0', labels=['KD', None]) == ['KD', 'seed0']
    assert of('kd/seed0', 'tat/seed0', labels=['seed0', None]) == ['seed0', 'tat/seed0']


class TestFigure:
    def test_lines_are_what_was_logged(self, log):
        student = read_run(log('student', '1', plain(2, 5.0), plain(4, 4.0, lr=0.05)))
        lines = distilled(2, 3.0, 1.0), distilled(4, 2.0, 2.0), distilled(6, 1.0, 3.0)
        kd = read_run(log('kd', '1', *lines, dict(mIoU=30.0, step=6)))
        figure = draw_runs([student, kd])
        assert titles(figure) == [
            'task loss and total loss',
            'distillation losses (weighted): kd',
            'share of the total loss: kd',
            'learning rate',
            'validation mIoU',
        ]
        losses, distillation, share, lr, metric = map(points, figure.axes)
        blue, red = '#0072b2', '#d55e00'
        assert losses == [
            (blue, [[2, 5], [4, 4]]),
            (red, [[2, 3], [4, 2], [6, 1]]),
            (red, [[2, 4], [4, 4], [6, 4]]),
        ]
        assert distillation == [(red, [[2, 1], [4, 2], [6, 3]])]
        assert share == [(red, [[2, 0.25], [4, 0.5], [6, 0.75]])]
        assert lr == [(blue, [[2, 0.1], [4, 0.05]]), (red, [[2, 0.1], [4, 0.1], [6, 0.1]])]
        assert metric == [(red, [[6, 30]])]
        assert figure.get_supxlabel() == ''  # nothing is smoothed

    def test_a_plain_network_has_neither_total_nor_shares(self, log):
        lines = plain(1, 3.0, **{'aux.loss_ce': 1.0, 'aux.acc_seg': 9.0}), plain(2, 2.0)
        run = read_run(log('student', '1', *lines, dict(mIoU=20.0, step=2)))
        other = read_run(log('other', '1', plain(1), dict(mIoU=20.1, step=1)))
        figure = draw_runs([run, other])
        assert titles(figure) == ['loss', 'learning rate, the same in all runs', 'validation mIoU']
        losses, lr, metric = map(points, figure.axes)
        assert losses[0][1] == [[1, 4], [2, 2]]
        assert lr == [('#999999', [[1, 0.1], [2, 0.1]])]  # one line
        assert metric[0][1] == [[2, 20]]
        assert figure.axes[2].lines[0].get_marker() == 'o'  # a line of one point shows nothing
        low, high = figure.axes[2].get_ylim()
        assert high - low == pytest.approx(0.05 * 20.1)  # a small difference does not fill it

    def test_one_style_for_one_loss(self, log):
        both = {**distilled(1), 'distill.loss_tat': 0.5, 'distill.kd_all': 1.0}
        runs = [read_run(log('a', '1', both)), read_run(log('b', '1', distilled(1, kd=2.0)))]
        figure = draw_runs(runs)
        assert not any('parts' in name for name in titles(figure))  # the only one of a loss
        styles = [[line._unscaled_dash_pattern for line in axis.lines] for axis in figure.axes]
        for axis, (kd, of_tat, other_kd) in zip(figure.axes[1:3], styles[1:3]):
            assert kd == other_kd != of_tat
            assert [text.get_text() for text in axis.get_legend().get_texts()] == ['kd', 'tat']
        task, other, total, _ = styles[0]
        assert task == other != total

    def test_parts_gradients_and_factors_where_logged(self, log):
        more = {'grad_share/feature/task': 0.4, 'grad_share/feature/tat': 0.6, 'factor/tat': 0.5}
        figure = draw_runs([read_run(log('r', '1', {**tat(1, 0.3, 0.1), **more}))])
        assert titles(figure) == [
            'task loss and total loss',
            'distillation losses (weighted): tat',
            'share of the total loss: tat',
            'parts of the distillation losses',
            'learning rate',
            'share of the gradient at feature: tat',
            'scheduled factor: tat',
        ]
        assert [xy for _, xy in points(figure.axes[3])] == [[[1, 0.3]], [[1, 0.1]]]
        assert [xy for _, xy in points(figure.axes[5])] == [[[1, 0.6]]]

    def test_of_a_classifier_the_accuracy_is_shown(self, log):
        """Without being asked for; the teacher's is a line of its own."""
        val = {'accuracy/top1': 60.0, 'accuracy/top5': 90.0, 'teacher/accuracy/top1': 70.0}
        run = read_run(log('r', '1', plain(1), dict(val, step=2), plain(4)))
        content = axes_of([run])[-1]
        assert content.title == 'validation accuracy/top1'
        drawn = [(line.name, line.series.to_dict()) for line in content.lines]
        assert drawn == [('student', {2: 60.0}), ('teacher', {0: 70.0, 4: 70.0})]

    def test_one_teacher_is_one_dashed_line(self, log):
        def val(step, own, teacher):
            return {'mIoU': own, 'teacher/mIoU': teacher, 'step': step}

        runs = [read_run(log('a', '1', plain(4), val(4, 10.0, 60.0)))]
        runs.append(read_run(log('b', '1', plain(8), val(8, 20.0, 60.0))))
        axis = draw_runs(runs).axes[-1]
        assert points(axis)[-1] == ('#999999', [[0, 60], [8, 60]])
        assert axis.lines[-1].is_dashed()
        assert [text.get_text() for text in axis.get_legend().get_texts()] == ['student', 'teacher']
        runs.append(read_run(log('c', '1', plain(8), val(8, 20.0, 50.0))))
        colours = [colour for colour, _ in points(draw_runs(runs).axes[-1])]
        assert colours == 2 * ['#0072b2', '#d55e00', '#009e73']

    def test_smoothing_is_drawn_over_what_was_logged_and_said(self, log):
        run = read_run(log('r', '1', plain(1, 3.0), plain(2, 0.5), plain(3, 1.0)))
        figure = draw_runs([run], smooth=2)  # becomes 3
        raw, smoothed = figure.axes[0].lines
        assert raw.get_xydata().tolist() == [[1, 3], [2, 0.5], [3, 1]]
        assert smoothed.get_xydata().tolist() == [[1, 1.75], [2, 1.5], [3, 0.75]]
        assert raw.get_alpha() < 0.5
        assert 'running mean over 3 logged points' in figure.get_supxlabel()
        assert len(figure.axes[1].lines) == 1  # the learning rate is as it is

    def test_losses_of_several_magnitudes_and_zeros(self, log, tmp_path):
        run = read_run(log('r', '1', distilled(1, 3.0, 100.0), distilled(2, 3.0, 0.0)))
        figure = draw_runs([run])
        assert [axis.get_yscale() for axis in figure.axes[:3]] == ['log', 'linear', 'linear']
        run = read_run(log('s', '1', *(distilled(n, 3.0, kd) for n, kd in enumerate((100, 1, 0)))))
        figure = draw_runs([run])
        assert figure.axes[1].get_yscale() == 'log'
        assert points(figure.axes[1])[0][1] == [[0, 100], [1, 1], [2, 0]]
        assert 0 < figure.axes[1].get_ylim()[0] < 1
        plot_runs([run], tmp_path / 'zeros.png')

    def test_the_legend_names_runs_and_lies_beside_the_data(self, log):
        runs = [read_run(log(name, '1', plain(1), plain(2))) for name in ('kd/seed0', 'tat/seed0')]
        bad = read_run(log('bad', '1', plain(1), plain(2, NAN), plain(3, NAN)))
        figure = draw_runs([*runs, bad])
        (legend,) = figure.legends
        texts = [text.get_text() for text in legend.get_texts()]
        assert texts == ['kd/seed0', 'tat/seed0', 'bad (loss not finite from iteration 2)']
        figure.draw_without_rendering()
        for axis in figure.axes:
            assert not axis.bbox.overlaps(legend.get_window_extent())
            if axis.get_legend():
                assert axis.get_legend().get_window_extent().y0 >= axis.bbox.y1 - 1

    @pytest.mark.parametrize('count', [8, 30])
    def test_as_many_colours_as_runs(self, log, count):
        runs = [read_run(log(f'r{n}', '1', plain(1, n + 1.0))) for n in range(count)]
        colours = [colour for colour, _ in points(draw_runs(runs).axes[0])]
        assert len(colours) == len(set(colours)) == count and '#999999' not in colours

    def test_the_ending_names_the_format(self, log, tmp_path):
        run = read_run(log('r', '1', plain(1)))
        for ending, begins in (('png', b'\x89PNG'), ('svg', b'<?xml')):
            plot_runs([run], tmp_path / f'{ending}/x.{ending}')
            assert (tmp_path / f'{ending}/x.{ending}').read_bytes().startswith(begins)
            assert os.listdir(tmp_path / ending) == [f'x.{ending}']


class TestErrors:
    def test_of_a_folder(self, tmp_path, log):
        with pytest.raises(FileNotFoundError, match="there is no folder '.*nowhere'"):
            read_run(tmp_path / 'nowhere')
        (tmp_path / 'empty').mkdir()
        with pytest.raises(FileNotFoundError) as error:
            read_run(tmp_path / 'empty')
        looked = f'{tmp_path}/empty/*/vis_data/scalars.json'
        assert str(error.value).endswith(f'is no work dir of a run: there is no {looked}')
        # The folder of a suite names its runs, that of a start its run.
        for seed in (0, 1):
            log(f'out/runs/kd/seed{seed}', '1', plain(1))
        with pytest.raises(FileNotFoundError) as error:
            read_run(tmp_path / 'out')
        runs = f'{tmp_path}/out/runs/kd'
        assert str(error.value).endswith(f'; below it fit {runs}/seed0, {runs}/seed1')
        with pytest.raises(FileNotFoundError, match=r"it is one start of '.*seed0', which fits"):
            read_run(tmp_path / 'out/runs/kd/seed0/1')
        with pytest.raises(ValueError, match='no line in .*scalars.json yet; the first is written'):
            read_run(log('r', '1', end='{"lr": 0.'))

    def test_of_the_labels(self, log, tmp_path):
        folder = log('r', '1', plain(1))
        with pytest.raises(ValueError, match='2 labels for 1 runs: A, B'):
            read_runs([folder], ['A', 'B'])
        assert read_runs([folder], ['A'])[0].label == 'A'
        with pytest.raises(ValueError, match="two runs are named 'A': give them labels"):
            read_runs([folder, folder], ['A', 'A'])

    def test_of_the_figure(self, log, tmp_path):
        run = read_run(log('r', '1', plain(1), dict(mIoU=1.0, aAcc=2.0, time=0.1, step=1)))
        assert titles(draw_runs([run], metric='aAcc'))[-1] == 'validation aAcc'
        no_validation = read_run(log('s', '1', plain(1)))
        empty = read_run(log('t', '1', dict(iter=1, step=1)))
        known = "'mDice' is in no validation of these runs; there are mIoU, aAcc$"
        for runs, options, message in (
            ([run], dict(metric='mDice'), known),
            ([no_validation], dict(metric='mIoU'), 'there is no validation yet'),
            ([run], dict(smooth=0), 'smooth must be .* at least 1, got 0'),
            ([], {}, 'there is no run to draw'),
            ([empty], {}, 'the logs of t hold nothing to draw'),
        ):
            with pytest.raises(ValueError, match=message):
                draw_runs(runs, **options)
        with pytest.raises(ValueError, match="Format 'txt' is not supported"):  # matplotlib's
            plot_runs([run], tmp_path / 'x.txt')
