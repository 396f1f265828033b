import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from mmrazor_tat.models.teacher.load import load_teacher


@pytest.fixture
def teacher():
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


@pytest.fixture
def save(tmp_path):
    def save(content):
        torch.save(content, tmp_path / 'teacher.pth')
        return str(tmp_path / 'teacher.pth')

    return save


def weights(value=3.0):
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    return {key: torch.full_like(x, value) for key, x in model.state_dict().items()}


@pytest.mark.parametrize(
    'wrap',
    [
        lambda w: w,
        lambda w: dict(state_dict=w, meta=dict(iter=3)),
        lambda w: dict(state_dict={f'module.{k}': v for k, v in w.items()}),
        lambda w: {k: v for k, v in w.items() if 'num_batches' not in k},
        # MMRazor: the trained network, not its old teacher; the teacher where only that one fits.
        lambda w: dict(
            state_dict={
                **{f'architecture.{k}': v for k, v in w.items()},
                **{f'teacher.{k}': v + 1 for k, v in w.items()},
                'distiller.connectors.a.weight': torch.zeros(1),
            }
        ),
        lambda w: dict(
            state_dict={
                **{f'teacher.{k}': v for k, v in w.items()},
                'architecture.0.weight': torch.zeros(1),
            }
        ),
        # mmengine's EMAHook: the averaged weights are in state_dict.
        lambda w: dict(
            state_dict=w,
            ema_state_dict={f'module.{k}': v + 1 for k, v in w.items()},
        ),
        lambda w: dict(
            ema_state_dict={'steps': torch.tensor(3), **{f'module.{k}': v for k, v in w.items()}}
        ),
        lambda w: dict(model=w, optimizer=dict(a=1)),
        lambda w: dict(state_dict={f'model.{k}': v for k, v in w.items()}),
    ],
)
def test_every_weight_is_loaded(teacher, save, wrap):
    load_teacher(teacher, save(wrap(weights())))
    assert all((p == 3).all() for p in teacher.parameters())
    assert (teacher[1].running_mean == 3).all()


def test_a_checkpoint_of_mmengine_loads(teacher, save):
    from mmengine.logging import MessageHub

    hub = MessageHub('of a checkpoint')
    hub.update_scalar('train/loss', 0.5)
    load_teacher(teacher, save(dict(state_dict=weights(), message_hub=hub.state_dict())))
    assert (teacher[0].weight == 3).all()


def test_keys_that_do_not_fit_are_all_listed_and_nothing_is_loaded(teacher, save):
    wrong = weights()
    wrong.pop('0.bias')
    wrong.pop('1.running_var')
    wrong['2.weight'] = torch.zeros(1)
    wrong['0.weight'] = torch.zeros(4, 1, 1, 1)
    path, before = save(wrong), teacher[1].weight.clone()
    with pytest.raises(ValueError) as error:
        load_teacher(teacher, path)
    text = str(error.value)
    assert f'teacher_ckpt {path!r} does not fit the teacher (Sequential' in text
    assert '2 missing in the file:\n    0.bias\n    1.running_var' in text
    assert '1 unexpected:\n    2.weight' in text
    assert '0.weight: (4, 1, 1, 1) in the file, (2, 1, 1, 1) in the teacher' in text
    assert torch.equal(teacher[1].weight, before)


def test_entries_of_another_name_are_listed(teacher, save):
    with pytest.raises(ValueError, match="holds no state_dict, but the entries 'net', 'epoch'"):
        load_teacher(teacher, save(dict(net=dict(weights()), epoch=3)))


def test_a_damaged_file_comes_with_no_dangerous_advice(teacher, save, tmp_path):
    whole = Path(save(dict(state_dict=weights()))).read_bytes()
    for content in (b'', b'<html>', whole[: len(whole) // 2]):
        (tmp_path / 'part.pth').write_bytes(content)
        with pytest.raises(ValueError, match='is damaged, or no checkpoint: .') as error:
            load_teacher(teacher, str(tmp_path / 'part.pth'))
        assert 'trust' not in str(error.value) and 'weights_only' not in str(error.value)


def test_a_folder(teacher, tmp_path):
    with pytest.raises(FileNotFoundError, match='teacher_ckpt: there is no file'):
        load_teacher(teacher, str(tmp_path))


def test_a_missing_file(teacher):
    with pytest.raises(FileNotFoundError, match="teacher_ckpt: there is no file 'no/such.pth'"):
        load_teacher(teacher, 'no/such.pth')


@pytest.mark.parametrize('content', [dict(state_dict=dict(a=1)), [1, 2], dict()])
def test_a_file_without_weights(teacher, save, content):
    with pytest.raises(ValueError, match='holds no state_dict'):
        load_teacher(teacher, save(content))


class Code:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_pickled_code_does_not_run(teacher, save, tmp_path):
    marker = tmp_path / 'ran'
    path = save(dict(state_dict=weights(), code=Code(str(marker))))
    with pytest.raises(ValueError, match='holds pickled code besides weights, which is refused'):
        load_teacher(teacher, path)
    assert not marker.exists()
    with open(path, 'wb') as file:
        pickle.dump(Code(str(marker)), file)
    with pytest.raises(ValueError, match='is damaged, or no checkpoint|holds pickled code'):
        load_teacher(teacher, path)
    assert not marker.exists()


def test_a_truncated_file(teacher, save):
    path = save(weights())
    with open(path, 'r+b') as file:
        file.truncate(100)
    with pytest.raises(ValueError, match='damaged'):
        load_teacher(teacher, path)


def test_the_report_says_what_was_taken(teacher, save):
    own = weights()
    path = save(
        dict(
            state_dict={
                **{f'architecture.{k}': v for k, v in own.items()},
                'distiller.weight': torch.zeros(1),
            },
            ema_state_dict={},
        )
    )
    report = load_teacher(teacher, path)
    assert str(report) == (
        f'teacher Sequential: all {len(own)} weights and buffers loaded from {path!r} (entry '
        "'state_dict', prefix 'architecture.' taken off, 1 other weights of the file left out, "
        'averaged (EMA))'
    )


def test_of_several_readings_the_nearest_is_reported(teacher, save):
    wrong = {f'architecture.{k}': v for k, v in weights().items()}
    del wrong['architecture.0.bias']
    with pytest.raises(ValueError, match=r'  1 missing in the file:\n    0.bias$'):
        load_teacher(teacher, save(dict(state_dict=wrong)))


class _Touch:
    """Pickled code: unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


def test_pickled_code_runs_only_where_the_user_says_so(teacher, save, tmp_path):
    path = save(dict(state_dict=weights(), extra=_Touch(str(tmp_path / 'ran'))))
    with pytest.raises(ValueError, match='of a teacher model.trust_teacher_ckpt=True.* loads it'):
        load_teacher(teacher, path)
    assert not (tmp_path / 'ran').exists()
    load_teacher(teacher, path, trust=True)
    assert (tmp_path / 'ran').exists() and (teacher[0].weight == 3).all()
