"""The student as a user ships it: by the tool, to where nothing of ours is installed."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine import Config

from mmrazor_tat import compat
from mmrazor_tat.export.proof import predict_by_recipe
from mmrazor_tat.models.teacher.identity import KEY, TeacherIdentity
from mmrazor_tat.utils.networks import trained_model

HAS_ONNX = all(map(importlib.util.find_spec, ('onnx', 'onnxruntime', 'onnxscript')))

# mmseg 1.2.2 imports mmcv's compiled operators for models that DeepLab is not one of. A user has
# the full mmcv; the tests' environment has mmcv-lite, so a stub stands in, in this script alone.
STUB = """
import importlib.machinery, sys, types
stub = types.ModuleType('mmcv._ext')
stub.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', loader=None)
def missing(name):
    if name.startswith('__'):
        raise AttributeError(name)
    return lambda *_, **__: 1 / 0
stub.__getattr__ = missing
sys.modules['mmcv._ext'] = stub
"""
USE = """
import importlib.util, sys, warnings
warnings.simplefilter('ignore')
assert all(importlib.util.find_spec(name) is None for name in ('mmrazor', 'mmrazor_tat'))
import torch
from mmengine import Config
from mmengine.runner import Runner
from mmseg.apis import inference_model, init_model
threads, folder, image, root, out = sys.argv[1:]
torch.set_num_threads(int(threads))
model = init_model(f'{folder}/student.py', f'{folder}/student.pth', device='cpu')
result = inference_model(model, image)
torch.save(dict(logits=result.seg_logits.data, labels=result.pred_sem_seg.data,
                classes=model.dataset_meta['classes']), f'{out}/prediction.pth')
# The config is complete: it trains, from the student on, and validates.
cfg = Config.fromfile(f'{folder}/student.py')
cfg.work_dir, cfg.load_from = out, f'{folder}/student.pth'
cfg.train_cfg.update(max_iters=1, val_interval=1)
cfg.train_dataloader.batch_size = 2
for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
    loader.update(num_workers=0, persistent_workers=False)
runner = Runner.from_cfg(cfg)
runner.train()
print('mIoU after one iteration', runner.message_hub.get_scalar('val/mIoU').current())
assert not any(name.startswith('mmrazor') for name in sys.modules)
"""


@pytest.fixture(scope='module')
def recipe(repo) -> Path:
    return repo / 'configs/small/demo/tat_student.py'


@pytest.fixture(scope='module')
def checkpoint(recipe, tmp_path_factory) -> Path:
    """Of the demo's recipe, with random weights and statistics."""
    torch.manual_seed(7)
    model = trained_model(Config.fromfile(recipe))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp('run') / 'iter_2.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(iter=2)), path)
    return path


@pytest.fixture(scope='module')
def shipped(repo, recipe, checkpoint, command, toy_voc, tmp_path_factory) -> tuple[Path, str]:
    """(folder, what the tool printed)"""
    out = tmp_path_factory.mktemp('shipped') / 'student'
    options = ['--cfg-options', f'data_root={toy_voc}']
    if HAS_ONNX:
        options = ['--onnx', '--onnx-dynamic', *options]
    return out, command(repo / 'tools/export_student.py', recipe, checkpoint, out, *options)


@pytest.fixture(scope='module')
def elsewhere(tmp_path_factory):
    """A function that runs code where all is installed that is here, but for mmrazor and ours."""
    packages = tmp_path_factory.mktemp('packages')
    for folder in map(Path, sys.path):
        if folder.name != 'site-packages':
            continue
        for path in folder.iterdir():
            ours = path.name.startswith(('mmrazor', '__editable__')) or path.suffix == '.pth'
            if not ours and not (packages / path.name).exists():
                (packages / path.name).symlink_to(path)
    assert (packages / 'mmseg').exists() and not (packages / 'mmrazor').exists()

    def run(code: str, *arguments) -> str:
        done = subprocess.run(
            # Without the site module no .pth file and no virtual environment is followed.
            [sys._base_executable, '-S', '-c', code, *map(str, arguments)],
            cwd=packages.parent,
            env={**os.environ, 'PYTHONPATH': str(packages), 'OMP_NUM_THREADS': '1'},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


def test_what_the_tool_says(shipped, here, repo, recipe, checkpoint):
    out, text = shipped
    assert 'EncoderDecoder, ResNetV1c + ASPPHead, 7 classes, 0.25 M parameters' in text
    assert 'left out of the config: default_hooks.recipe_check (mmrazor.RecipeCheckHook)' in text
    equal = '7 x 64 x 64 logits and the labels by mmseg.apis equal those of the recipe, bit by bit'
    assert f'val_00000.jpg: {equal}' in text
    onnx = 'student.onnx, ' if HAS_ONNX else ''
    assert text.splitlines()[-1] == f'{out}: {onnx}student.pth, student.py, export.json'
    tool = repo / 'tools/export_student.py'
    again = here(tool, recipe, checkpoint, out, ok=False)
    assert again.strip().splitlines()[-1].startswith(f"export_student: OUT '{out}' has student.py")
    text = here(tool, 'a.py', 'b.pth', 'out', '--onnx-size', '64', '64', ok=False)
    assert '--onnx-size and --onnx-dynamic need --onnx' in text


def test_it_is_used_where_neither_mmrazor_nor_ours_is_installed(
    shipped, elsewhere, recipe, checkpoint, toy_voc, tmp_path
):
    image = toy_voc / 'JPEGImages' / 'val_00002.jpg'
    cfg = Config.fromfile(recipe)
    threads = torch.get_num_threads()
    expected = predict_by_recipe(trained_model(cfg, str(checkpoint)), cfg, str(image))
    code = USE if compat.is_installed('onedl-mmcv') else STUB + USE
    text = elsewhere(code, threads, shipped[0], image, toy_voc, tmp_path)
    got = torch.load(tmp_path / 'prediction.pth')
    assert torch.equal(got['logits'], expected.logits)
    assert torch.equal(got['labels'], expected.labels)
    assert got['classes'][1] == 'disc'
    assert 0 <= float(text.split('mIoU after one iteration')[1]) <= 100


def test_onnx(shipped):
    onnxruntime = pytest.importorskip('onnxruntime')
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxscript')
    from mmseg.apis import init_model

    out, text = shipped
    assert 'student.onnx: input batch x 3 x height x width -> logits batch x 7 x height' in text
    model = onnx.load(str(out / 'student.onnx'))
    meta = {entry.key: entry.value for entry in model.metadata_props}
    assert meta['channel_order'] == 'RGB' and json.loads(meta['mean']) == [123.675, 116.28, 103.53]
    assert json.loads(meta['classes'])[1] == 'disc' and meta['test_mode'] == 'whole'
    report = json.loads((out / 'export.json').read_text())
    assert meta['checkpoint_sha256'] == report['checkpoint']['sha256']
    cases = report['onnx']['cases']
    assert [case['shape'][0] for case in cases] == [1, 3, 1, 3]
    assert len({tuple(case['shape'][2:]) for case in cases}) == 3
    for case in cases:
        assert case['difference'] <= case['tolerance'] < 1e-2

    # Once more by hand, at a size that the tool has not tried.
    student = init_model(str(out / 'student.py'), str(out / 'student.pth'), device='cpu')
    torch.manual_seed(0)
    batch = torch.randn(2, 3, 57, 71)
    size = dict(img_shape=(57, 71), pad_shape=(57, 71))
    with torch.no_grad():
        expected = student.encode_decode(batch, [size, size])
    session = onnxruntime.InferenceSession(
        str(out / 'student.onnx'), providers=['CPUExecutionProvider']
    )
    (got,) = session.run(None, {'input': batch.numpy()})
    assert got.shape == (2, 7, 57, 71)
    assert torch.allclose(torch.from_numpy(got), expected, atol=1e-4)


def log_of(folder: Path, miou: float) -> None:
    """As a run leaves it: a line of the training, two of validations."""
    lines = [dict(loss=1.5, lr=0.1, iter=2, step=2), dict(mIoU=miou, aAcc=80.0, time=0.1, step=2)]
    lines.append(dict(mIoU=99.0, aAcc=99.0, time=0.1, step=4))
    path = folder / '20260101_000000/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))


@pytest.fixture(scope='module')
def hub(repo, recipe, checkpoint, command, toy_voc, tmp_path_factory) -> Path:
    """Of a run of a suite, with another seed beside it."""
    if not importlib.util.find_spec('safetensors'):
        pytest.skip('safetensors is not installed')
    folder = tmp_path_factory.mktemp('hub')
    for seed, miou in ((0, 30.0), (1, 34.0)):
        log_of(folder / f'seed{seed}', miou)
    path = folder / 'seed0/iter_2.pth'
    content = torch.load(checkpoint)
    identity = TeacherIdentity('/there/their_teacher.pth', 'ab' * 32)
    content['state_dict'][KEY], content['meta']['iter'] = identity.to_tensor(), 2
    torch.save(content, path)
    words = [recipe, path, folder / 'out', '--hub', folder / 'hub']
    words += ['--cfg-options', f'data_root={toy_voc}', 'model.teacher_ckpt=teacher.pth']
    text = command(repo / 'tools/export_student.py', *words)
    assert 'README.md, configuration.json, export.json, model.safetensors, student.py' in text
    return folder / 'hub'


def test_the_hub_s_own_code_reads_the_card(hub):
    huggingface_hub = pytest.importorskip('huggingface_hub')
    card = huggingface_hub.ModelCard.load(hub / 'README.md')
    data = card.data
    assert (data.library_name, data.pipeline_tag, data.license) == (
        'mmseg',
        'image-segmentation',
        'other',
    )
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ('mean_iou', 32.0)
    assert 'mIoU 32.00 ± 2.83' in card.text and 'checkpoint, seeds 0, 1)' in card.text
    assert '`HierarchicalTaTLoss`: ' in card.text and f'SHA-256 `{"ab" * 32}`' in card.text
    assert 'depth 18; weights `their_teacher.pth`' in card.text  # that of the run
    assert 'checked_square' in card.text and '0.25 M parameters' in card.text


def test_the_hub_folder_is_loaded_as_it_says(hub, checkpoint, repo, here, toy_voc):
    """By mmseg and safetensors alone, and back by the export."""
    from mmseg.apis import inference_model, init_model
    from safetensors.torch import load_file

    model = init_model(str(hub / 'student.py'), device='cpu')
    model.load_state_dict(load_file(hub / 'model.safetensors'))
    model.dataset_meta = model.cfg.dataset_meta
    saved = torch.load(checkpoint)['state_dict']
    for name, value in model.state_dict().items():
        assert torch.equal(value, saved[f'architecture.{name}'])
    image = str(toy_voc / 'JPEGImages/val_00002.jpg')
    size = cv2.imread(image).shape[:2]
    assert inference_model(model, image).pred_sem_seg.data.shape == (1, *size)
    assert model.dataset_meta['classes'][-1] == 'checked_square'
    words = [f'hub={hub}', '--runtimes', 'torch', '--num-images', 2]
    text = here(repo / 'tools/compare_deployed.py', *words, '--cfg-options', f'data_root={toy_voc}')
    assert '| hub | torch | 0.25 |' in text and '2 images, one by one' in text
    for words, said in (([hub, hub], 'one name'), ([hub, '--num-images', 0], 'at least 1')):
        assert said in here(repo / 'tools/compare_deployed.py', *words, ok=False)


def test_safetensors_are_exported_again(hub, here, repo, toy_voc, tmp_path):
    words = [hub / 'student.py', hub / 'model.safetensors', tmp_path / 'again', '--image']
    text = here(repo / 'tools/export_student.py', *words, toy_voc / 'JPEGImages/val_00002.jpg')
    assert 'bit by bit' in text and '7 classes' in text
    words = [hub / 'student.py', hub / 'model.safetensors', tmp_path / 'third', '--hub', hub]
    text = here(repo / 'tools/export_student.py', *words, ok=False)
    assert 'is not empty: choose another folder' in text and not (tmp_path / 'third').exists()


@pytest.mark.skipif(not HAS_ONNX, reason='onnx, onnxruntime or onnxscript is not installed')
def test_runtimes_beside_each_other(shipped, repo, here, recipe, checkpoint, toy_voc, tmp_path):
    """In torch it has the validation's mIoU, elsewhere nearly; int8 is a fraction of the file."""
    data = '--cfg-options', f'data_root={toy_voc}'
    log = here(repo / 'tools/test.py', recipe, checkpoint, '--work-dir', tmp_path, *data)
    expected = float(re.findall(r'mIoU: (\d+\.\d+)', log)[-1])
    runtimes = ['torch', 'onnxruntime', 'int8']
    runtimes += ['openvino'] * bool(importlib.util.find_spec('openvino'))
    words = [f'ours={shipped[0]}', '--runtimes', *runtimes, '--out', tmp_path / 'table.md', *data]
    here(repo / 'tools/compare_deployed.py', *words)
    lines = [of.split('|')[1:-1] for of in (tmp_path / 'table.md').read_text().splitlines()[2:-2]]
    rows = {runtime.strip(): [float(x) for x in of] for _, runtime, *of in lines}
    assert [*rows] == runtimes and rows['torch'][3] == expected
    for runtime, (parameters, megabytes, milliseconds, miou) in rows.items():
        assert parameters == 0.25 and milliseconds > 0
        assert abs(miou - expected) <= (2 if runtime == 'int8' else 0.1)
        assert megabytes < 0.6 if runtime == 'int8' else megabytes > 0.9
    assert (shipped[0] / 'student_int8.onnx').is_file()
    text = here(repo / 'tools/compare_deployed.py', tmp_path, ok=False)
    assert 'there is no' in text and '--onnx-dynamic' in text
