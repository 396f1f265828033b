"""The picture of two runs, by command line."""

import json

import cv2
import pytest


@pytest.fixture
def work_dir(tmp_path):
    """A function that writes a log of 50 lines in the folder of a run."""

    def work_dir(name: str, loss: float):
        folder = tmp_path / name / '20260101_000000/vis_data'
        folder.mkdir(parents=True)
        lines = [dict(loss=loss, lr=0.1, iter=n, step=n) for n in range(1, 51)]
        lines.append(dict(mIoU=10 * loss, step=50))
        (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
        return tmp_path / name

    return work_dir


def test_both_runs_are_seen(repo, here, work_dir, tmp_path):
    runs = work_dir('a', 1.0), work_dir('b', 2.0)
    text = here(repo / 'tools/plot_run.py', tmp_path, ok=False)
    assert text.startswith(f"plot_run: '{tmp_path}' is no work dir of a run: there is no ")
    out = tmp_path / 'pictures/curves.png'
    text = here(repo / 'tools/plot_run.py', *runs, '--labels', 'A', 'B', '--out', out)
    assert text.splitlines() == [
        'loss: total',
        'learning rate, the same in all runs: lr',
        'validation mIoU: student',
        f'{out} is written',
    ]
    picture = cv2.cvtColor(cv2.imread(str(out)), cv2.COLOR_BGR2RGB)
    for colour in ('0072B2', 'D55E00'):
        rgb = list(bytes.fromhex(colour))
        drawn = (picture == rgb).all(2)
        assert drawn[:60].sum() > 50, f'{colour} is not in the legend'
        assert drawn[60:].any(1).sum() > 5, f'{colour} is not in the panels'
