"""Loading a teacher's checkpoint: completely, or not at all."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mmrazor_tat.models.teacher.load import load_teacher


def under(prefix, w, more=0):
    return {f'{prefix}{key}': value + more for key, value in w.items()}


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
        lambda w: dict(state_dict=under('module.', w)),
        lambda w: {k: v for k, v in w.items() if 'num_batches' not in k},
        # MMRazor: the trained network, not its old teacher; the teacher where only that one fits.
        lambda w: dict(
            state_dict={
                **under('architecture.', w),
                **under('teacher.', w, more=1),
                'distiller.connectors.a.weight': torch.zeros(1),
            }
        ),
        lambda w: dict(
            state_dict={**under('teacher.', w), 'architecture.0.weight': torch.zeros(1)}
        ),
        # mmengine's EMAHook: the averaged weights are in state_dict.
        lambda w: dict(state_dict=w, ema_state_dict=under('module.', w, more=1)),
        lambda w: dict(ema_state_dict={'steps': torch.tensor(3), **under('module.', w)}),
        lambda w: dict(model=w, optimizer=dict(a=1)),
        lambda w: dict(state_dict=under('model.', w)),
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


def test_a_damaged_file_comes_with_no_dangerous_advice(teacher, save, tmp_path):
    whole = Path(save(dict(state_dict=weights()))).read_bytes()
    for content in (b'', b'<html>', whole[:100], whole[: len(whole) // 2]):
        (tmp_path / 'part.pth').write_bytes(content)
        with pytest.raises(ValueError, match='is damaged, or no checkpoint: .') as error:
            load_teacher(teacher, str(tmp_path / 'part.pth'))
        assert 'trust' not in str(error.value) and 'weights_only' not in str(error.value)


def test_no_file(teacher, tmp_path):
    for path in ('no/such.pth', str(tmp_path)):
        with pytest.raises(FileNotFoundError, match=f"teacher_ckpt: there is no file '{path}'"):
            load_teacher(teacher, path)


@pytest.mark.parametrize(
    'content, message',
    [
        (dict(state_dict=dict(a=1)), 'holds no state_dict'),
        ([1, 2], 'holds no state_dict'),
        (dict(), 'holds no state_dict'),
        (dict(net=weights(), epoch=3), "holds no state_dict, but the entries 'net', 'epoch'"),
    ],
)
def test_a_file_without_weights(teacher, save, content, message):
    with pytest.raises(ValueError, match=message):
        load_teacher(teacher, save(content))


def test_the_report_says_what_was_taken(teacher, save):
    own = weights()
    state = dict(under('architecture.', own), **{'distiller.weight': torch.zeros(1)})
    path = save(dict(state_dict=state, ema_state_dict={}))
    assert str(load_teacher(teacher, path)) == (
        f'teacher Sequential: all {len(own)} weights and buffers loaded from {path!r} (entry '
        "'state_dict', prefix 'architecture.' taken off, 1 other weights of the file left out, "
        'averaged (EMA))'
    )


def test_of_several_readings_the_nearest_is_reported(teacher, save):
    wrong = under('architecture.', weights())
    del wrong['architecture.0.bias']
    with pytest.raises(ValueError, match=r'  1 missing in the file:\n    0.bias$'):
        load_teacher(teacher, save(dict(state_dict=wrong)))


class Code:
    """Pickled code: unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


def test_pickled_code_runs_only_where_the_user_says_so(teacher, save, tmp_path):
    path = save(dict(state_dict=weights(), extra=Code(str(tmp_path / 'ran'))))
    message = 'holds pickled code besides weights, .*of a teacher model.trust_teacher_ckpt=True'
    with pytest.raises(ValueError, match=message):
        load_teacher(teacher, path)
    assert not (tmp_path / 'ran').exists()
    load_teacher(teacher, path, trust=True)
    assert (tmp_path / 'ran').exists() and (teacher[0].weight == 3).all()
