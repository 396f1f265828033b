"""tools/soak_memory.py through its command line."""

import json

import pytest


def test_errors_in_one_line(repo, command, tmp_path):
    (tmp_path / 'soak.md').write_text('mine')
    text = command(repo / 'tools/soak_memory.py', '--out', tmp_path / 'soak', ok=False)
    assert text.splitlines()[-1].startswith('soak_memory: --out: ')
    assert 'soak.md is there already: --force replaces it' in text and 'Traceback' not in text
    assert (tmp_path / 'soak.md').read_text() == 'mine'


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 1])
def test_memory_is_flat(repo, command, tmp_path, workers):
    out = tmp_path / 'soak'
    options = ['--iterations', 300, '--interval', 10, '--workers', workers, '--out', out]
    text = command(repo / 'tools/soak_memory.py', *options)
    assert '# A soak of 300 iterations: memory is flat' in text
    found = json.loads((tmp_path / 'soak.json').read_text())
    assert found['is_flat'] and found['verdict']['tensors'] == 0
    assert len(found['samples']['resident']) == 30 and found['keys'] > 20
    assert found['events']['validation'] == list(range(30, 301, 30))
    assert (found['verdict']['children'] is not None) == (workers == 1)
    assert min(found['samples']['children']) > 100 * 2**20 or workers == 0
    losses = ['loss_tat', 'loss_patch', 'loss_anchor', 'loss_review']
    assert sorted(found['losses']) == sorted(losses)
