"""Exported students in the runtimes that they are deployed with: time and mIoU of each."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import torch
from mmengine import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, init_default_scope
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.benchmark import timer

from ..utils.config_options import read_config
from ..utils.errors import how_to_install, is_installed, one_line, said
from .hub import WEIGHTS
from .make import CHECKPOINT, CONFIG, ONNX
from .proof import load_shipped

RUNTIMES = dict(torch=None, onnxruntime='onnxruntime', openvino='openvino', int8='onnxruntime')
_CALIBRATION = 32  # images

Network = Callable[[np.ndarray], np.ndarray]  # (1, 3, H, W) -> logits (1, classes, H, W)


class Deployed(NamedTuple):
    """A network in a runtime."""

    name: str
    runtime: str
    parameters: int
    megabytes: float  # of the file that the runtime reads
    milliseconds: float  # of an image, the median
    miou: float  # per cent
    images: int  # that were run


def compare_deployed(
    folders: dict[str, Path],
    runtimes: Sequence[str] = ('torch', 'onnxruntime'),
    num_images: int = 100,
    options: Optional[dict] = None,
) -> Iterator[Deployed]:
    """Run exported networks on the validation images of the first one's config.

    The time is that of the network alone, on the CPU, of images one by one; mIoU as mmseg counts
    it, on the labels' own size. 'int8': quantised after training, by ONNX Runtime with what
    training images give ("static"); the file is left in the folder.

    Args:
        folders: what :func:`export_student` or :func:`write_hub_folder` wrote, by name, with ONNX
            files of any size.
        runtimes: of :data:`RUNTIMES`.
        num_images: how many images, the first ones.
        options: settings of the config, e.g. ``dict(data_root=PATH)``.

    Raises:
        ValueError, FileNotFoundError: a runtime, a file or a data set that is not there.
    """
    if num_images < 1:
        raise ValueError(f'num_images must be at least 1, got {num_images}')
    for runtime in runtimes:
        package = RUNTIMES[runtime]
        if package is not None and not is_installed(package):
            raise ValueError(f'{runtime} is not installed: {how_to_install(package)}')
    for name, folder in folders.items():
        needed = [CONFIG, _weights(folder)] + [ONNX] * any(map(RUNTIMES.get, runtimes))
        for file in needed:
            if not (folder / file).is_file():
                raise FileNotFoundError(
                    f'{name}: there is no {folder / file}; export_student.py with --onnx '
                    '--onnx-dynamic writes it'
                )
    cfg = read_config(str(next(iter(folders.values())) / CONFIG), options or {})
    samples = _Samples(cfg, 'val_dataloader', num_images)
    for name, folder in folders.items():
        model = load_shipped(folder / CONFIG, folder / _weights(folder), classifies=False)
        count = sum(p.numel() for p in model.parameters())
        for runtime in runtimes:
            network, file = _network(runtime, model, folder, cfg)
            of_file = name, runtime, count, file.stat().st_size / 1e6
            yield Deployed(*of_file, *_measure(network, model, samples), samples.count)


def _weights(folder: Path) -> str:
    """The file of them, in a hub's folder another one."""
    return WEIGHTS if (folder / WEIGHTS).is_file() else CHECKPOINT


class _Samples:
    """The first images of a data set of a config, with their labels."""

    def __init__(self, cfg: Config, loader: str, count: int) -> None:
        init_default_scope('mmseg')
        try:
            self.dataset = DATASETS.build(cfg[loader].dataset)
        except AssertionError as error:  # mmseg asserts that files are there
            raise FileNotFoundError(f'{loader}: {error} (--cfg-options data_root=PATH)') from error
        self.count = min(count, len(self.dataset))
        self.classes = len(self.dataset.metainfo['classes'])

    def inputs(self, model: nn.Module) -> Iterator[tuple[Tensor, Any]]:
        """As the model's data preprocessor makes them, (1, 3, H, W), and the sample."""
        for index in range(self.count):
            data = model.data_preprocessor(pseudo_collate([self.dataset[index]]), False)
            yield data['inputs'], data['data_samples'][0]


def _measure(network: Network, model: nn.Module, samples: _Samples) -> tuple[float, float]:
    from mmseg.evaluation import IoUMetric

    seconds, areas = [], []
    for inputs, sample in samples.inputs(model):
        x = inputs.numpy()
        try:
            if not seconds:
                network(x)  # the first call sets up
        except Exception as error:  # of a runtime: e.g. a file of another, fixed size
            size = ' x '.join(map(str, x.shape))
            raise ValueError(f'an input of {size}: {one_line(said(error), 200)}') from error
        start = timer()
        logits = network(x)
        seconds.append(timer() - start)
        label = sample.gt_sem_seg.data.squeeze()
        logits = torch.from_numpy(np.asarray(logits))
        height, width = sample.img_shape[:2]  # what is padded goes first
        logits = F.interpolate(
            logits[:, :, :height, :width], label.shape, mode='bilinear', align_corners=False
        )
        labels = logits.argmax(1)[0]
        areas.append(IoUMetric.intersect_and_union(labels, label, samples.classes, 255))
    intersection, union, *_ = (sum(of) for of in zip(*areas))
    iou = (intersection / union)[union > 0]
    return 1e3 * statistics.median(seconds), 100 * iou.mean().item()


def _network(runtime: str, model: nn.Module, folder: Path, cfg: Config) -> tuple[Network, Path]:
    """A function of arrays, and the file that it is of."""
    if runtime == 'torch':

        @torch.no_grad()
        def run(x: np.ndarray) -> np.ndarray:
            size = dict(img_shape=x.shape[2:], ori_shape=x.shape[2:], pad_shape=x.shape[2:])
            return model.encode_decode(torch.from_numpy(x), [size]).numpy()

        return run, folder / _weights(folder)
    path = folder / ONNX
    if runtime == 'openvino':
        import openvino

        compiled = openvino.Core().compile_model(str(path), 'CPU')
        return lambda x: compiled([x])[0], path
    import onnxruntime

    if runtime == 'int8':
        path = _quantise(path, model, cfg)
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda x: session.run(['logits'], {'input': x})[0], path


def _quantise(path: Path, model: nn.Module, cfg: Config) -> Path:
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    samples = _Samples(cfg, 'train_dataloader', _CALIBRATION)
    inputs = samples.inputs(model)

    class Images(quantization.CalibrationDataReader):
        def get_next(self) -> Optional[dict[str, np.ndarray]]:
            found = next(inputs, None)
            return found and {'input': found[0].numpy()}

    prepared, quantised = path.with_name('prepared.onnx'), path.with_name('student_int8.onnx')
    try:
        shape_inference.quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared), str(quantised), Images(), per_channel=True, reduce_range=False
        )
    finally:
        prepared.unlink(missing_ok=True)
    return quantised
