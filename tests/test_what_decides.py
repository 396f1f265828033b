"""Reasons that docs/results/what_decides.md gives, small enough to be tested, and its figures."""

import json
import re
import statistics

import pytest
import torch

from mmrazor_tat.functional import attention_weights, tat_loss, whole_map


def scenes(count: int, side: int = 8, width: int = 16) -> torch.Tensor:
    """Maps of a teacher: each image has rectangles of four kinds of feature, placed at random."""
    generator = torch.Generator().manual_seed(0)
    kinds = 2 * torch.randn(4, width, generator=generator)
    places = torch.randint(4, (count, side // 2, side // 2), generator=generator)
    places = places.repeat_interleave(2, 1).repeat_interleave(2, 2)
    maps = kinds[places].permute(0, 3, 1, 2)
    return maps + 0.1 * torch.randn(maps.shape, generator=generator)


@pytest.mark.parametrize('scale', [1.0, 'auto'])
@pytest.mark.parametrize('softmax_over, explains', [('student', True), ('teacher', False)])
def test_who_can_lower_the_loss_without_the_image(softmax_over, explains, scale):
    """A "student" that gives the same learnt map for every image is a codebook: over the student's
    positions, the query is the target and picks its entry. Over the teacher's it explains nothing
    of images that it was not fitted to."""
    torch.manual_seed(0)
    train, unseen = scenes(64).split(32)
    blind = torch.randn(1, 16, 8, 8).requires_grad_()
    gamma, phi, theta = (torch.eye(16).requires_grad_() for _ in range(3))
    optimizer = torch.optim.Adam([blind, gamma, phi, theta], 0.05)

    def loss(t):
        s = whole_map(blind).expand(len(t), -1, -1, -1)
        target = whole_map(t)
        return tat_loss(
            s @ gamma, s @ phi, target @ theta, target, softmax_over=softmax_over, scale=scale
        )

    for _ in range(200):
        optimizer.zero_grad()
        loss(train).backward()
        optimizer.step()
    share = loss(unseen).item() / unseen.var((0, 2, 3), unbiased=False).mean().item()
    assert share < 0.01 if explains else share > 0.9


@pytest.mark.parametrize('width', [96, 384])
def test_without_a_scale_the_softmax_is_saturated(width):
    """Normalised tokens as the projections make them, 16 positions, the widths of `tiny`."""
    generator = torch.Generator().manual_seed(0)
    key, query = torch.randn(2, 1, 8, 16, width, generator=generator)
    plain, scaled = (
        attention_weights(key, query, scale=scale).amax(-1).mean() for scale in (1.0, 'auto')
    )
    assert plain > 0.8 and scaled < 0.35


def test_the_page_has_the_figures_of_the_sieve(repo):
    runs = json.loads((repo / 'benchmarks/suites/tat_sieve.json').read_text())['runs']
    page = (repo / 'docs/results/what_decides.md').read_text()
    rows = re.findall(r'^\| (teacher|student) \| (\d+) \| (.*) \|$', page, re.M)
    assert len(rows) >= 5
    for side, weight, cells in rows:
        for scale, cell in zip(('autoby3', 'auto', '3auto', '1', 'learnt'), cells.split('|')):
            run = runs.get(f'{side}_{scale}_{weight}_image_patch+anchor_head', dict(last={}))
            found = run['last'].get('mIoU')
            assert cell.strip() == ('' if found is None else f'{found["mean"]:.1f}')


def test_the_page_has_the_figures_of_the_study(repo):
    suites = repo / 'benchmarks/suites'
    runs = json.loads((suites / 'tat_study.json').read_text())['runs']
    page = (repo / 'docs/results/what_decides.md').read_text()
    row = r'^\| (teacher|student) \| ([\w /]+) \| (\d+) \| ([\d.]+) ± ([\d.]+) \| \+([\d.]+) ± '
    rows = re.findall(row, page, re.M)
    assert len(rows) == 7
    learnt = json.loads((suites / 'tat_study_learnt.json').read_text())['runs'].values()
    for side, scale, weight, mean, std, gain in rows:
        if scale == 'learnt':
            values = [of['curve'][-1][1] for of in learnt]
            assert float(mean) == round(statistics.mean(values), 2)
            assert float(std) == round(statistics.stdev(values), 2)
            continue
        scale = scale.replace(' / ', 'by').replace(' ', '')
        of = runs[f'{side}_{scale}_{weight}_image_patch+anchor_head_2000']
        found = of['last']['mIoU']['mean'], of['last']['mIoU']['std'], of['gain']['mean']
        assert [float(x) for x in (mean, std, gain)] == pytest.approx(found, abs=0.006)


@pytest.mark.parametrize('suite', ['tiny', 'cifar_small', 'voc_small'])
def test_the_pages_have_the_figures_of_the_suites(repo, suite):
    """Of the plain student and of TaT, on the page of the study, that of the suites, and README."""
    content = json.loads((repo / f'benchmarks/suites/{suite}.json').read_text())
    metric = content['suite']['metric']
    plain, tat = (content['runs'][name] for name in ('student', 'tat'))
    low, high = tat['gain']['interval']
    texts = [f'{tat["gain"]["mean"]:+.2f}', f'[{low:.2f}, {high:.2f}]']
    for of in (plain, tat):
        texts.append(f'{of["last"][metric]["mean"]:.2f} ± {of["last"][metric]["std"]:.2f}')
    for page in ('README.md', 'docs/results/suites.md', 'docs/results/what_decides.md'):
        assert all(text in (repo / page).read_text() for text in texts), page
