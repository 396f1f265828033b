"""No way of loading a checkpoint runs code that it holds, unless the user says so."""

import io
import pickle
import tarfile
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel, BaseModule
from mmengine.runner import Runner, load_checkpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mmrazor_tat import compat
from mmrazor_tat.compat.checkpoints import UntrustedCheckpointError, read_checkpoint
from mmrazor_tat.models.teacher.load import load_teacher


class MakesFile:
    """A pickle of it makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Net(BaseModel):
    def __init__(self, init_cfg=None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.linear = nn.Linear(1, 1)

    def forward(self, inputs, mode='tensor'):
        out = self.linear(inputs)
        return dict(loss=out.sum()) if mode == 'loss' else list(out)


class Metric:
    """As little of an evaluator as the Runner takes."""

    dataset_meta = None

    def process(self, *_, **__) -> None:
        pass

    def evaluate(self, *_) -> dict:
        return {}


def runner(folder, **settings) -> Runner:
    data = DataLoader(TensorDataset(torch.ones(2, 1)))
    hook = dict(type='CheckpointHook', interval=1, by_epoch=False)
    return Runner(
        Net(),
        str(folder),
        train_dataloader=data,
        train_cfg=dict(by_epoch=False, max_iters=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        test_dataloader=data,
        test_cfg=dict(),
        test_evaluator=Metric(),
        default_hooks=dict(checkpoint=hook),
        experiment_name=folder.name,
        **settings,
    )


LOADERS = {
    'load_from': lambda path, folder: runner(folder, load_from=path).train(),
    'resume': lambda path, folder: runner(folder, load_from=path, resume=True).train(),
    'test': lambda path, folder: runner(folder, load_from=path).test(),
    'Pretrained': lambda path, _: Net(dict(type='Pretrained', checkpoint=path)).init_weights(),
    'prefix': lambda path, _: BaseModule(
        dict(type='Pretrained', checkpoint=path, prefix='linear.')
    ).init_weights(),
    'load_checkpoint': lambda path, _: load_checkpoint(nn.Linear(1, 1), path),
    'teacher': lambda path, _: load_teacher(nn.Linear(1, 1), path),
    'our tools': lambda path, _: read_checkpoint(path),
}


@pytest.fixture
def ran(tmp_path) -> Path:
    return tmp_path / 'ran'


@pytest.fixture
def bad(tmp_path, ran) -> str:
    """A checkpoint of ``Net`` that holds code."""
    content = dict(state_dict=Net().state_dict(), meta={}, code=MakesFile(ran))
    torch.save(content, tmp_path / 'bad.pth')
    return str(tmp_path / 'bad.pth')


@pytest.mark.parametrize('way', LOADERS)
def test_code_does_not_run(way, bad, ran, tmp_path, caplog):
    with pytest.raises(ValueError, match='holds pickled code besides weights, which is') as error:
        LOADERS[way](bad, tmp_path / f'work_{way}')
    text = str(error.value)
    assert repr(bad) in text and '\n' not in text and 'weights_only' not in text
    assert 'Falling back' not in caplog.text
    assert not ran.exists()


@pytest.mark.parametrize('way', ['load_from', 'Pretrained', 'load_checkpoint'])
def test_code_runs_where_the_user_says_so(way, bad, ran, tmp_path):
    with compat.trust_checkpoints(False), pytest.raises(UntrustedCheckpointError) as error:
        LOADERS[way](bad, tmp_path / f'work_{way}')
    assert '--trust-checkpoints' in str(error.value) and not ran.exists()
    with compat.trust_checkpoints():
        LOADERS[way](bad, tmp_path / f'work_{way}_trusted')
    assert ran.exists()


def test_the_innermost_context_rules(bad, ran):
    before = torch.load
    with compat.weights_only(False), compat.weights_only(), pytest.raises(ValueError):
        load_teacher(nn.Linear(1, 1), bad)
    with compat.weights_only(), pytest.raises(pickle.UnpicklingError):
        torch.load(bad, weights_only=False)
    assert not ran.exists()
    with compat.weights_only(), compat.weights_only(False):
        torch.load(bad)
    assert ran.exists() and torch.load is before


def _plain_pickle(code, path):
    path.write_bytes(pickle.dumps(code, protocol=2))


def _legacy(code, path):
    torch.save(dict(code=code), path, _use_new_zipfile_serialization=False)


def _tar(code, path):
    """torch's layout of long ago, read from a pickle for each of its three members."""
    with tarfile.open(path, 'w') as archive:
        for name in ('storages', 'tensors', 'pickle'):
            content = pickle.dumps(code)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _torchscript(_, path):
    torch.jit.script(nn.Linear(1, 1)).save(str(path))


@pytest.mark.parametrize('write', [_plain_pickle, _legacy, _tar, _torchscript])
@pytest.mark.filterwarnings('ignore')
def test_other_layouts(write, ran, tmp_path):
    path = tmp_path / 'file.pth'
    write(MakesFile(ran), path)
    with pytest.raises(ValueError, match='holds pickled code|is damaged, or no checkpoint'):
        read_checkpoint(str(path))
    with pytest.raises(UntrustedCheckpointError):
        load_checkpoint(nn.Linear(1, 1), str(path))
    assert not ran.exists()


class Reduced:
    """Pickled as any call."""

    def __init__(self, function, *arguments, state=None) -> None:
        self.reduced = (function, arguments, *([] if state is None else [state]))

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    'value',
    [
        lambda: Reduced(getattr, nn.Module, 'forward'),
        lambda: Reduced(getattr, _history_buffer(), '__init__'),
        lambda: Reduced(eval, '1'),
        lambda: Reduced(torch.load, 'file'),
        lambda: Reduced(torch.nn.Linear, 1, 1),
        lambda: Reduced(__import__, 'os'),
    ],
)
def test_calls_that_are_refused(value, tmp_path):
    torch.save(dict(value=value()), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='holds pickled code|is damaged'):
        read_checkpoint(str(tmp_path / 'a.pth'))


def test_items_set_on_what_is_no_dict(tmp_path):
    """torch before 2.10 wrote beyond a tensor so (CVE-2026-24747); this is torch.Size, of two."""
    tensor = b'ctorch\nSize\n((I1\nI2\nttR'
    path = tmp_path / 'a.pth'
    for items in (b'I0\nI9\ns.', b'(I0\nI9\nu.', b'I9\na.', b'(I9\ne.'):
        path.write_bytes(b'\x80\x02' + tensor + items)
        with pytest.raises(ValueError, match='is damaged, or no checkpoint'):
            read_checkpoint(str(path))


def _history_buffer():
    from mmengine.logging import HistoryBuffer

    return HistoryBuffer


@pytest.mark.parametrize('zipped', [True, False])
def test_safe_content_is_read_as_it_was(zipped, tmp_path):
    import numpy as np

    weights = OrderedDict(a=torch.arange(4.0), half=torch.ones(2, dtype=torch.bfloat16))
    weights._metadata = {'': dict(version=1)}
    content = dict(
        state_dict=weights,
        parameter=nn.Parameter(torch.ones(1)),
        view=weights['a'][1:3],
        numpy=(np.float64(0.5), np.int64(3), np.float32(0.25), np.bool_(True), np.arange(3)),
        others=[Counter('aa'), {1, 2}, torch.Size([1]), torch.device('cpu'), torch.float16, 1j],
        text=b'bytes',
    )
    path = tmp_path / 'a.pth'
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(str(path))
    torch.save(found, tmp_path / 'again.pth')  # as a resumed run does
    assert b'mmrazor_tat' not in (tmp_path / 'again.pth').read_bytes()
    assert list(read_checkpoint(str(tmp_path / 'again.pth'))) == list(found) == list(content)
    assert torch.equal(found['state_dict']['a'], weights['a'])
    assert found['state_dict']._metadata == weights._metadata
    assert found['state_dict']['half'].dtype == torch.bfloat16
    assert isinstance(found['parameter'], nn.Parameter)
    assert found['view'].data_ptr() == found['state_dict']['a'][1:].data_ptr()
    assert found['numpy'][:4] == content['numpy'][:4] and found['numpy'][4].tolist() == [0, 1, 2]
    assert found['others'] == content['others'] and found['text'] == b'bytes'


def test_a_run_of_mmengine_resumes(tmp_path):
    """Its checkpoint holds log buffers, and what an optimiser and a schedule keep."""
    first = runner(tmp_path / 'first')
    first.train()
    again = runner(tmp_path / 'again', load_from=str(tmp_path / 'first/iter_1.pth'), resume=True)
    again.load_or_resume()
    assert again.iter == 1
    assert torch.equal(again.model.linear.weight, first.model.linear.weight)


def test_an_opened_file(tmp_path, ran):
    """As mmengine's loaders of object stores give it."""
    buffer = io.BytesIO()
    torch.save(dict(a=torch.ones(2)), buffer)
    buffer.seek(0)
    with compat.weights_only():
        assert torch.load(buffer, map_location='cpu')['a'].tolist() == [1, 1]
    with compat.weights_only(), pytest.raises(pickle.UnpicklingError):
        torch.load(io.BytesIO(pickle.dumps(MakesFile(ran))))
    assert not ran.exists()
