"""What the guide says of classification is run: a pair of one's own, and configs by our name."""

import re

import pytest

pytestmark = pytest.mark.mmpretrain

from mmrazor_tat.datasets.toy_cifar import write_toy_cifar  # noqa: E402

QUICK = [
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'default_hooks.checkpoint.interval=2',
    'train_dataloader.batch_size=4',
]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = write_toy_cifar(tmp_path_factory.mktemp('cifar'), num_train=8, num_test=4)
    return f'data_root={root}'


@pytest.fixture(scope='module')
def blocks(repo) -> tuple[str, str]:
    """``my_pair.py`` and the recipe, to the letter."""
    text = (repo / 'docs/guides/classification.md').read_text()
    pair, recipe = re.findall(r'```python\n(.*?)```', text, re.S)
    return pair, recipe


def test_a_pair_of_one_s_own(repo, blocks, data, here, tmp_path):
    for name in ('student', 'teacher'):
        (tmp_path / f'my_{name}.py').write_text(
            f"_base_ = 'mmrazor_tat::small/demo_cifar/{name}.py'\n"
        )
    here(
        repo / 'tools/train.py', tmp_path / 'my_teacher.py', '--cfg-options', *QUICK, data,
        cwd=tmp_path,
    )  # fmt: skip
    (tmp_path / 'work_dirs/my_teacher/iter_2.pth').rename(tmp_path / 'my_teacher.pth')
    pair, recipe = blocks
    (tmp_path / 'my_pair.py').write_text(pair)
    (tmp_path / 'my_recipe.py').write_text(recipe)
    log = here(
        repo / 'tools/train.py', tmp_path / 'my_recipe.py', '--cfg-options', *QUICK, data,
        cwd=tmp_path,
    )  # fmt: skip
    assert 'distill.loss_rkd' in log and 'accuracy/top1' in log
    assert 'Failed to' not in log  # mmengine's word for a scope that it does not know
