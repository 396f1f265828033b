import subprocess
import sys

import pytest
import torch

from mmrazor_tat.benchmark.timing import measure as benchmark


def test_runs_take_turns_and_the_first_round_is_not_counted():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in 'ab'}
    seconds = benchmark.time_in_turns(runs, repeats=3, device='cpu')
    assert ''.join(order) == 'ab' + 'ba' + 'ab' + 'ba'
    assert [len(times) for times in seconds.values()] == [3, 3]


def test_ratios_are_paired():
    """A slow round that hits both runs leaves the ratio alone."""
    assert benchmark.paired_ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == 2.0


def test_operations_of_known_products():
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    batch_a, batch_b, out = torch.ones(2, 3, 4), torch.ones(2, 4, 5), torch.ones(2, 3, 5)
    assert benchmark.count_operations(lambda: a @ b) == 2 * 3 * 4 * 5
    assert benchmark.count_operations(lambda: torch.bmm(batch_a, batch_b)) == 2 * 2 * 3 * 4 * 5
    assert benchmark.count_operations(lambda: out.baddbmm_(batch_a, batch_b)) == 2 * 2 * 3 * 4 * 5


def test_operations_of_attention():
    q, k = (torch.ones(1, 1, n, 16, requires_grad=True) for n in (300, 400))

    def attend():
        return torch.nn.functional.scaled_dot_product_attention(q, k, k)

    forward = 2 * 2 * 300 * 400 * 16
    assert benchmark.count_operations(attend) == forward
    both = benchmark.count_operations(lambda: attend().sum().backward())
    assert both == forward + forward * 5 // 2


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='resident memory: Linux')
def test_peak_memory_of_a_known_allocation():
    code = (
        'import torch\n'
        'from mmrazor_tat.benchmark.timing.measure import MIB, peak_memory\n'
        'def run():\n'
        '    x = torch.ones(64 * MIB // 4)\n'
        '    del x\n'
        '    torch.ones(16 * MIB // 4)\n'
        'print(peak_memory(run, "cpu") / MIB)\n'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert float(run.stdout) == pytest.approx(64, abs=4)


def test_rates_are_positive_and_of_sane_size():
    assert 1e8 < benchmark.matmul_rate('cpu') < 1e15


def test_report(tmp_path):
    table = benchmark.markdown_table(['a', 'b'], [[1, 'x'], [2, 'y']])
    assert table.splitlines() == ['| a | b |', '| --- | --- |', '| 1 | x |', '| 2 | y |']
    benchmark.write_report(tmp_path / 'new' / 'result', dict(a=1), table)
    assert (tmp_path / 'new/result.md').read_text() == table + '\n'
    assert '"a": 1' in (tmp_path / 'new/result.json').read_text()


def test_the_machine_is_described():
    machine = benchmark.describe_machine('cpu')
    assert machine['torch'] == torch.__version__ and machine['cores'] >= 1
    assert f'torch {torch.__version__}' in benchmark.machine_line(machine)
    of = dict(processor='A', torch='2', cores=1, threads=1)
    assert benchmark.machine_line(of) == 'A, 1 core, 1 thread, torch 2'
    assert benchmark.machine_line({**of, 'cores': 2}) == 'A, 2 cores, 1 thread, torch 2'
