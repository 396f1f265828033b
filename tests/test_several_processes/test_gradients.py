"""Two processes train as one does on the batches of both: float64, five steps.

By torchrun, mmengine's init_dist and its DistributedDataParallel with find_unused_parameters=False,
which fails where a learnt parameter gets no gradient. Losses that compare the images of a batch
(CC, PKT, RKD, SP) are not here: by their definition a process compares its own images only.
"""

import functools

import methods
import pytest
import torch

# All with synchronised batch norms, those of the connectors as well; '+frozen': with frozen ones.
QUICK = ['tat', 'tat+bn', 'kd', 'ickd', 'review-kd+frozen', 'crd', 'sckd']
REST = [
    'tat+composed',
    'tat+frozen',
    'at',
    'cwd',
    'cwd+frozen',
    'fitnet',
    'ickd+frozen',
    'kd+frozen',
    'ofd',
    'review-kd',
]


@pytest.fixture(scope='module')
def of_two(two_processes, tmp_path_factory):
    """A function that gives what each of two processes found, by method."""
    folder = tmp_path_factory.mktemp('methods')

    @functools.cache
    def run(*names: str) -> list[dict]:
        result = folder / names[0]
        two_processes(methods.__file__, result, *names)
        return [torch.load(f'{result}.{rank}', weights_only=False) for rank in range(2)]

    return lambda name: [found[name] for found in run(*(QUICK if name in QUICK else REST))]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are small
    yield
    torch.set_num_threads(threads)


def test_all_methods_for_segmentation_are_here(repo):
    recipes = {path.stem for path in (repo / 'configs/small/demo').glob('*_student.py')}
    assert {f.removesuffix('_student') for f in recipes if 'tat-' not in f} <= {*QUICK, *REST}


@pytest.mark.parametrize(
    'name', [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_gradients_and_weights_are_those_of_one_process(name, of_two):
    one = methods.train(name)
    first, second = of_two(name)
    assert one['without'] == first['without'] == second['without'] == set()
    for both in zip(one['losses'], first['losses'], second['losses']):
        assert both[0] == pytest.approx((both[1] + both[2]) / 2, rel=1e-9)
    assert first['losses'] != second['losses']  # each has images of its own
    for what in ('gradients', 'state'):
        assert first[what].keys() == one[what].keys()
        for key, value in one[what].items():
            assert torch.equal(first[what][key], second[what][key]), key
            torch.testing.assert_close(first[what][key], value, rtol=1e-7, atol=1e-9)
    moved = [k for k in one['gradients'] if one['gradients'][k].abs().max() > 0]
    assert len(moved) > len(one['gradients']) // 2
