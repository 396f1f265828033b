"""A run that is killed and resumed ends as one that nothing interrupted: bit by bit."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from interrupted_recipes import ITERATIONS, RECIPES
from interrupted_run import Kill, content, differences, losses, output, scores, start

POINTS = ('before', 'after', 'validation', 'writing', 'written', 'removing')


def draws(count: int) -> list[tuple[str, Kill]]:
    """Recipes and points in turn, each with an iteration that is drawn."""
    random.seed(20)
    found = []
    for number in range(count):
        name, point = list(RECIPES)[number % len(RECIPES)], POINTS[number % len(POINTS)]
        validated, written = ((6, 12), (3, 6, 9, 12)) if name == 'epochs' else ((4, 8, 12), None)
        written = written or range(2, ITERATIONS + 1, 2)
        iterations = dict(validation=validated, before=range(1, 13), after=range(1, 13))
        found.append((name, Kill(random.choice(iterations.get(point, written)), point)))
    return found


def is_slow(number: int) -> list:
    """The first is of a recipe that the next ones are more than."""
    return [] if number in (1, 2, 3) else [pytest.mark.slow]


@pytest.mark.parametrize(
    ('name', 'kill'),
    [
        pytest.param(*draw, id=f'{draw[0]}: {draw[1].point} {draw[1].iteration}', marks=is_slow(i))
        for i, draw in enumerate(draws(20))
    ],
)
def test_a_killed_run_ends_as_the_whole_one(recipe, uninterrupted, tmp_path, name, kill):
    whole, work_dir = uninterrupted(name), tmp_path / 'run'
    file, settings = recipe(name, work_dir)
    first = settings
    if 'randomness.seed' in RECIPES[name][1]:  # None: the killed run has to draw what the whole did
        first = {**settings, 'randomness.seed': _seed_of(whole)}
    assert start(file, first, kill) == -signal.SIGKILL, output(work_dir)
    assert max(losses(work_dir), default=0) <= kill.iteration
    assert start(file, settings, resume=True) == 0, output(work_dir)

    assert losses(work_dir) == losses(whole) and len(losses(whole)) == ITERATIONS
    assert scores(work_dir) == scores(whole) != {}
    files = {path.relative_to(whole) for path in whole.rglob('*.pth')}
    left = {path.relative_to(work_dir) for path in work_dir.rglob('*.pth')}
    # Killed before it removed the older one, a run has one more than it would keep.
    assert files <= left and len(left - files) <= (kill.point == 'removing')
    assert not list(work_dir.rglob('*.tmp'))
    for file in files:
        assert differences(content(whole / file), content(work_dir / file)) == []


def _seed_of(work_dir) -> int:
    return content(next(work_dir.glob('iter_*.pth')))['meta']['seed']


@pytest.mark.slow
@pytest.mark.parametrize('iteration', [3, 7])
def test_the_tool_killed_from_outside(repo, recipe, uninterrupted, tmp_path, iteration):
    """At no chosen point, with two workers of the data loader."""
    name = 'two workers, no seed'
    whole, work_dir = uninterrupted(name), tmp_path / 'run'
    file, _ = recipe(name, work_dir)
    train = [sys.executable, repo / 'tools/train.py', file, '--work-dir', work_dir]
    # Another number of threads sums in another order.
    quiet = dict(
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process = subprocess.Popen(
        [*train, '--cfg-options', f'randomness.seed={_seed_of(whole)}'], **quiet
    )
    while process.poll() is None and max(losses(work_dir), default=0) < iteration:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert iteration <= max(losses(work_dir)) < ITERATIONS
    assert subprocess.run([*train, '--resume'], **quiet).returncode == 0
    assert losses(work_dir) == losses(whole)
    assert scores(work_dir) == scores(whole)
    file = f'iter_{ITERATIONS}.pth'
    assert differences(content(whole / file), content(work_dir / file)) == []
