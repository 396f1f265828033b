"""Checkpoints that cannot be gone on from are named, left out or refused; and a full disk."""

import errno
import os
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine import Config
from mmengine.hooks import Hook

from mmrazor_tat.compat.checkpoints import read_checkpoint
from mmrazor_tat.engine.hooks.safe_checkpoint_hook import (
    SafeCheckpointHook,
    check_is_of_a_run,
    damage_of,
    newest_whole,
)
from mmrazor_tat.engine.runner.checkpoint_fit import check_fit
from mmrazor_tat.engine.runner.guarded_runner import add_guards, leave_out_checks
from mmrazor_tat.utils import files
from mmrazor_tat.utils.files import RemovesLater


@pytest.fixture
def of_a_run(tmp_path):
    """A function that writes what looks like a run's checkpoint."""

    def write(name: str, **parts):
        of = dict(meta=dict(iter=1, epoch=0), state_dict={}, message_hub={}, optimizer={})
        torch.save({**of, **parts}, tmp_path / name)
        return tmp_path / name

    return write


def spoil(path, how: str) -> None:
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        'truncated': whole[: int(len(whole) * 0.9)],
        'empty': b'',
        'zeros': whole[: middle - 64] + bytes(128) + whole[middle + 64 :],
        'text': b'not a checkpoint\n' * 9,
    }
    path.write_bytes(damaged[how])


@pytest.mark.parametrize('how', ['truncated', 'empty', 'zeros', 'text'])
def test_a_damaged_checkpoint_is_left_out_or_refused(of_a_run, tmp_path, how):
    good = of_a_run('iter_900.pth', weights=torch.arange(4096))
    bad = of_a_run('iter_1000.pth', weights=torch.arange(4096))
    spoil(bad, how)
    path, (damage,) = newest_whole([tmp_path])
    assert path == str(good) and 'iter_1000.pth' in damage and '\n' not in damage
    good.unlink()
    with pytest.raises(ValueError, match='none of the checkpoints can be read.*Move them away'):
        newest_whole([tmp_path])
    bad.unlink()
    assert newest_whole([tmp_path]) == (None, [])


def test_any_damage_is_noted(of_a_run, tmp_path):
    """A byte of a file's list of parts makes zipfile and torch raise what they like."""
    good = of_a_run('iter_1.pth', weights=torch.arange(64))
    bad = tmp_path / 'iter_2.pth'
    whole = good.read_bytes()
    random.seed(0)
    for place in random.sample(range(len(whole)), 150):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << random.randrange(8)
        bad.write_bytes(spoilt)
        path, damaged = newest_whole([tmp_path])
        assert path in (str(bad), str(good)) and (path == str(good)) == bool(damaged)
        if path == str(bad):  # then it is read, as it was or with an error that names it
            try:
                assert read_checkpoint(path)['weights'].equal(torch.arange(64))
            except ValueError as error:
                assert 'iter_2.pth' in str(error)
    bad.write_bytes(Path('/etc/passwd').read_bytes())
    assert newest_whole([tmp_path])[0] == str(good)


def written_at(path, second: int):
    os.utime(path, (second, second))
    return str(path)


def test_which_one_a_run_goes_on_from(of_a_run, tmp_path):
    old, named, late = (
        written_at(of_a_run(f'iter_{step}.pth'), at)
        for step, at in ((900, 5), (2000, 6), (10000, 7))
    )
    pointer = tmp_path / 'last_checkpoint'
    pointer.write_text(named)
    assert newest_whole([tmp_path])[0] == late  # killed before the pointer was written
    written_at(late, 4)  # of an earlier run in the same folder
    assert newest_whole([tmp_path])[0] == named
    spoil(Path(named), 'empty')
    assert newest_whole([tmp_path])[0] == old
    pointer.write_text('')  # cut off
    Path(named).unlink()
    assert newest_whole([tmp_path])[0] == old  # written last
    other = written_at(of_a_run('step_000007.pth'), 1)  # a name of the user's
    pointer.write_text(other)
    assert newest_whole([tmp_path])[0] == other
    pointer.write_text('/gone/iter_10000.pth')  # the folder has been moved
    assert newest_whole([tmp_path])[0] == late


def test_what_does_not_fit_the_run_or_its_model():
    for content, message in (
        (dict(state_dict={}), '^a.pth does not say which iteration.*load_from'),
        ([1], '^a.pth does not say which iteration'),
        (
            dict(meta=dict(iter=3), state_dict={}, message_hub={}),
            '^a.pth has no optimizer.*take iter_N',
        ),
    ):
        with pytest.raises(ValueError, match=message):
            check_is_of_a_run(content, 'a.pth')
    assert damage_of('gone.pth') is None  # mmengine says it
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    weights = model.state_dict()
    check_fit(model, dict(state_dict=weights), 'resume', 'a.pth')
    other = {**weights, 'bias': torch.ones(1), '0.weight': torch.ones(2, 4)}
    del other['1.bias']
    with pytest.raises(ValueError) as error:
        check_fit(model, dict(state_dict=other), 'resume', 'a.pth')
    for part in ('1.bias is missing', "bias is none of the model's", '(2, 4), (2, 3) is needed'):
        assert part in str(error.value)
    other = {**weights, 'bias': torch.ones(1)}  # of no harm in a test
    check_fit(model, dict(state_dict=other), 'test', 'a.pth')


class PutsAPathIn(Hook):
    def before_save_checkpoint(self, runner, checkpoint):
        if checkpoint['meta']['iter'] == 3:
            checkpoint['meta']['mine'] = Path('here')


def test_resume_takes_the_good_one_and_says_so(distillation, monkeypatch):
    """mmengine's pointer is empty, the newest checkpoint is cut off."""
    settings = {'default_hooks.checkpoint.max_keep_ckpts': -1}
    first = distillation(2, **settings)
    first.train()
    folder = Path(first.work_dir)
    shutil.copy(folder / 'iter_2.pth', folder / 'iter_9.pth')
    spoil(folder / 'iter_9.pth', 'truncated')
    (folder / 'last_checkpoint').write_text('')
    (folder / 'iter_10.pth.tmp').write_text('of a run that was killed')
    second, load, read, warned = distillation(3, resume=True, **settings), torch.load, [], []
    second.register_hook(PutsAPathIn())
    second.logger.warning = warned.append

    def note_and_load(file, *args, **kwargs):
        read.append(str(file))
        return load(file, *args, **kwargs)

    monkeypatch.setattr(torch, 'load', note_and_load)
    second.train()
    assert second.iter == 3 and second._load_from.endswith('iter_2.pth')
    assert read.count(second._load_from) == 1  # what is resumed is read once
    assert [line for line in warned if 'iter_9.pth' in line and 'left out' in line]
    assert not (folder / 'iter_10.pth.tmp').exists()
    # A checkpoint that could not be resumed is warned of at once.
    (line,) = [line for line in warned if 'could not be resumed' in line]
    assert 'iter_3.pth' in line and '--trust-checkpoints' in line and '\n' not in line


def test_another_model_s_checkpoint_is_refused_before_anything_is_loaded(distillation):
    first = distillation(1)
    first.train()
    path = f'{first.work_dir}/iter_1.pth'
    settings = {'model.architecture.decode_head.channels': 16}
    other = distillation(2, 'other', resume=True, load_from=path, **settings)
    loaded = []
    other.model._register_load_state_dict_pre_hook(lambda *_: loaded.append(True))
    with pytest.raises(ValueError, match='iter_1.pth.*does not fit.*is needed'):
        other.train()
    assert not loaded


def test_no_checks_leaves_the_comparison_out():
    cfg = Config(dict(custom_hooks=[dict(type='mmrazor.SafeCheckpointHook')]))
    add_guards(cfg)
    leave_out_checks(cfg)
    assert cfg.custom_hooks == [dict(type='mmrazor.SafeCheckpointHook', check=False)]
    assert 'recipe_check' not in cfg.default_hooks
    hook = SafeCheckpointHook(check=False)
    hook.after_load_checkpoint(SimpleNamespace(_resume=True, _load_from='a.pth'), [1])


def test_a_full_disk_leaves_what_was_there(distillation, monkeypatch):
    runner = distillation(3, **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(files.os, 'fsync', full)
    with pytest.raises(OSError, match=r'iter_2.pth \(\d.*MiB\) cannot be written: No space left'):
        runner.train()
    folder = Path(runner.work_dir)
    assert [path.name for path in folder.glob('*.pth*')] == ['iter_1.pth']
    assert read_checkpoint(str(folder / 'iter_1.pth'))['meta']['iter'] == 1


def test_what_is_removed_later(tmp_path):
    backend = RemovesLater()
    old, rewritten = tmp_path / 'old', tmp_path / 'rewritten'
    for path in (old, rewritten):
        backend.put(b'1', path)
        backend.remove(path)
    assert old.exists() and rewritten.exists()
    rewritten.write_bytes(b'2')
    os.utime(rewritten, ns=(1, 1))
    backend.remove_now()
    assert not old.exists() and rewritten.read_bytes() == b'2'
