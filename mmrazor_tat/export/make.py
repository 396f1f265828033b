"""A folder with what is to be shipped, or nothing."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Optional

from mmengine import Config
from mmengine.registry import DATASETS, init_default_scope
from torch import nn

from ..compat.checkpoints import read_checkpoint
from ..utils.config_options import read_config
from ..utils.configs import is_classifier
from ..utils.environment import versions
from ..utils.files import save_atomically
from ..utils.networks import trained_model
from .checkpoint import dataset_meta, preprocessing, student_checkpoint
from .onnx_file import OnnxInput, WholeImage, check_onnx, require_onnx, write_onnx
from .plain_config import plain_config
from .proof import (
    load_shipped,
    predict_by_recipe,
    predict_shipped,
    prove_equal,
    prove_same_weights,
    sha256_of,
)

CONFIG, CHECKPOINT, ONNX, REPORT = 'student.py', 'student.pth', 'student.onnx', 'export.json'


def export_student(
    config: str,
    checkpoint: str,
    out: Path,
    image: Optional[str] = None,
    onnx: Optional[OnnxInput] = None,
    force: bool = False,
    options: Optional[dict] = None,
) -> dict[str, Any]:
    """Write a recipe's trained student as mmseg (mmpretrain) alone can load it, once proven.

    The folder gets 'student.py' (a complete config), 'student.pth', 'student.onnx' if asked for,
    and 'export.json', which says what was done. They are written only after the student, loaded
    from them by ``mmseg.apis`` or mmpretrain's, has predicted an image as the recipe's does, to
    the bit.

    Args:
        config: of a recipe, or of a plain network; a path, or ``PACKAGE::NAME``.
        checkpoint: of its training. One with averaged weights (``EMAHook``) gives these, as its
            validation did.
        out: the folder.
        image: what the proof is made with; None: the first validation image.
        onnx: which sizes 'student.onnx' takes; None: there is none. For segmentors.
        force: write over files of an earlier export.
        options: settings that override the config, as ``--cfg-options``.

    Returns:
        What 'export.json' holds.

    Raises:
        FileNotFoundError: a file or package is not there.
        ValueError: a part that does not fit or is needed and not mmseg's (mmpretrain's), by name;
            what was written does not predict the same. Nothing is left then.
    """
    out = Path(out).resolve()  # "." has no name
    _check_folder(out, force)
    if onnx is not None:
        require_onnx()
    for path in filter(None, (image, checkpoint)):
        if not Path(path).is_file():
            raise FileNotFoundError(f'there is no file {str(path)!r}')
    cfg = read_config(str(config), options or {})
    classifies = is_classifier(cfg)
    if onnx is not None and classifies:
        raise ValueError(
            f'--onnx is for segmentors, and the student of {str(config)!r} is a classifier: export '
            "it without, and take mmdeploy's or torch's own exporter"
        )
    plain, left_out = plain_config(cfg)
    image = str(image) if image is not None else _first_image(cfg)
    model = trained_model(cfg, str(checkpoint))
    student = getattr(model, 'architecture', model)
    _check_kind(student, classifies)
    _check_finite(student)
    meta = read_checkpoint(str(checkpoint)).get('meta') or {}
    progress = {key: meta[key] for key in ('epoch', 'iter') if isinstance(meta.get(key), int)}

    nearest = next(folder for folder in out.absolute().parents if folder.is_dir())
    with tempfile.TemporaryDirectory(prefix=f'.{out.name}.', dir=nearest) as unfinished:
        folder = Path(unfinished) / out.name
        folder.mkdir()
        text = plain.pretty_text
        (folder / CONFIG).write_text(text, encoding='utf-8')
        save_atomically(
            student_checkpoint(student.state_dict(), text, dataset_meta(cfg, meta), **progress),
            folder / CHECKPOINT,
        )
        shipped = load_shipped(folder / CONFIG, folder / CHECKPOINT, classifies)
        prove_same_weights(student, shipped)
        got = predict_shipped(shipped, image, classifies)
        difference = prove_equal(predict_by_recipe(model, cfg, image), got)
        report = {
            'config': Path(config).name,
            'checkpoint': {**_named(checkpoint), **progress},
            'network': _network(shipped),
            'left_out': left_out,
            'preprocessing': preprocessing(shipped),
            'proof': {
                'image': _named(image),
                'inputs': list(got.inputs.shape),
                'logits': list(got.logits.shape),
                'max_difference': difference,
                'same_labels': True,
            },
        }
        if onnx is not None:
            report['onnx'] = _write_onnx(shipped, got.inputs, onnx, report, folder / ONNX)
        report['sha256'] = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        report['versions'] = versions(*(('onnx', 'onnxruntime') if onnx is not None else ()))
        (folder / REPORT).write_text(json.dumps(report, indent=2) + '\n', encoding='utf-8')
        _move(folder, out)
    return report


def _check_folder(out: Path, force: bool) -> None:
    nearest = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise ValueError(f'OUT {str(out)!r}: {str(nearest)!r} is a file, not a folder')
    old = [name for name in (CONFIG, CHECKPOINT, ONNX, REPORT) if (out / name).exists()]
    if old and not force:
        raise ValueError(
            f'OUT {str(out)!r} has {", ".join(old)}: choose another folder, or add --force'
        )


def _first_image(cfg: Config) -> str:
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    loader = cfg.get('val_dataloader') or cfg.get('test_dataloader') or {}
    try:
        path = DATASETS.build(loader['dataset']).get_data_info(0)['img_path']
    except Exception as error:  # whatever a data set may raise
        raise ValueError(
            'the validation data give no image to prove the export with: set --image PATH, or '
            f'--cfg-options data_root=PATH ({type(error).__name__}: {error})'
        ) from error
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'the first validation image is not there: {path!r}; set --image PATH, or '
            '--cfg-options data_root=PATH'
        )
    return path


def _check_kind(student: nn.Module, classifies: bool) -> None:
    if classifies:
        from mmpretrain.models import ImageClassifier as Network

        fits = "mmpretrain's ImageClassifier with a backbone"
    else:
        from mmseg.models import BaseSegmentor as Network

        fits = "mmseg's segmentors with a backbone (EncoderDecoder)"
    if not isinstance(student, Network) or not hasattr(student, 'backbone'):
        raise ValueError(
            f'the student is a {type(student).__name__}, and what is exported are {fits}'
        )


def _check_finite(student: nn.Module) -> None:
    for name, value in student.state_dict().items():
        if not value.isfinite().all():
            raise ValueError(
                f'{name} of the checkpoint has values that are no finite numbers: the training has '
                'diverged'
            )


def _network(student: nn.Module) -> dict[str, Any]:
    name = 'decode_head' if hasattr(student, 'decode_head') else 'head'  # mmpretrain's
    head = getattr(student, name)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    meta = student.dataset_meta if hasattr(student, 'dataset_meta') else student._dataset_meta
    return {
        'type': type(student).__name__,
        'backbone': type(student.backbone).__name__,
        name: type(head).__name__,
        'classes': list(meta['classes']),
        'parameters': sum(p.numel() for p in student.parameters()),
    }


def _write_onnx(
    student: nn.Module, image: Any, options: OnnxInput, report: dict, path: Path
) -> dict[str, Any]:
    network = WholeImage(student)
    if options.size is not None and tuple(image.shape[2:]) != tuple(options.size):
        image = nn.functional.interpolate(
            image, tuple(options.size), mode='bilinear', align_corners=False
        )
    meta = {
        'classes': report['network']['classes'],
        'checkpoint_sha256': report['checkpoint']['sha256'],
        'test_mode': student.test_cfg.get('mode', 'whole'),
        **report['preprocessing'],
    }
    # Of a single image the exporter would take the 1 for a constant.
    example = image.repeat(2, 1, 1, 1)
    write_onnx(network, example, options.is_dynamic, meta, path)
    cases = check_onnx(path, network, image, options.is_dynamic)
    sizes = ['height', 'width'] if options.is_dynamic else list(image.shape[2:])
    return {
        'input': ['batch', image.shape[1], *sizes],
        'logits': ['batch', student.out_channels, *sizes],
        'test_mode': meta['test_mode'],
        'cases': [case._asdict() for case in cases],
    }


def _move(folder: Path, out: Path) -> None:
    """Into place: at once where there is nothing yet, else file by file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        os.replace(folder, out)
        return
    (out / REPORT).unlink(missing_ok=True)  # it speaks of the files that go now
    if not (folder / ONNX).exists():
        (out / ONNX).unlink(missing_ok=True)  # of an earlier student
    for name in (ONNX, CHECKPOINT, CONFIG, REPORT):
        if (folder / name).exists():
            os.replace(folder / name, out / name)
    shutil.rmtree(folder)


def _named(path: Any) -> dict[str, str]:
    return {'name': Path(path).name, 'sha256': sha256_of(path)}
