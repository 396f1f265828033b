"""A folder with what is to be shipped, or nothing."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Optional, Union

from mmengine import Config
from mmengine.registry import DATASETS, init_default_scope
from torch import Tensor, nn

from ..compat.checkpoints import read_checkpoint
from ..utils.config_options import read_config
from ..utils.configs import is_classifier
from ..utils.environment import versions
from ..utils.files import save_atomically
from ..utils.networks import trained_model
from .checkpoint import preprocessing, student_checkpoint
from .onnx_file import WholeImage, check_onnx, require_onnx, write_onnx
from .plain_config import plain_config
from .proof import (
    load_shipped,
    predict_by_recipe,
    predict_shipped,
    prove_equal,
    prove_same_weights,
)

CONFIG, CHECKPOINT, ONNX, REPORT = 'student.py', 'student.pth', 'student.onnx', 'export.json'
DYNAMIC = 'dynamic'


def export_student(
    config: str,
    checkpoint: str,
    out: Path,
    image: Optional[str] = None,
    onnx: Union[None, bool, str, tuple[int, int]] = None,
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
        onnx: of a segmentor, write 'student.onnx' as well, for inputs of (height, width), of any
            size ('dynamic'), or of that of the image (True).
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
    nearest = next(path for path in (out, *out.parents) if path.exists())
    if not nearest.is_dir():
        raise ValueError(f'OUT {str(out)!r}: {str(nearest)!r} is a file, not a folder')
    old = [name for name in (CONFIG, CHECKPOINT, ONNX, REPORT) if (out / name).exists()]
    if old and not force:
        raise ValueError(
            f'OUT {str(out)!r} has {", ".join(old)}: choose another folder, or add --force'
        )
    for path in filter(None, (image, checkpoint)):
        if not Path(path).is_file():
            raise FileNotFoundError(f'there is no file {str(path)!r}')
    cfg = read_config(str(config), options or {})
    classifies = is_classifier(cfg)
    if onnx:
        require_onnx()
        if classifies:
            raise ValueError(
                f'--onnx is for segmentors, and the student of {str(config)!r} is a classifier: '
                "export it without, and take mmdeploy's or torch's own exporter"
            )
    plain, left_out = plain_config(cfg)
    image = str(image or _validation_data(cfg).get_data_info(0)['img_path'])
    if not Path(image).is_file():
        raise FileNotFoundError(
            f'the first validation image is not there: {image!r}; set --image PATH, or '
            '--cfg-options data_root=PATH'
        )
    model = trained_model(cfg, str(checkpoint))
    student = getattr(model, 'architecture', model)
    if not (hasattr(student, 'backbone') and hasattr(student, _head(classifies))):
        raise ValueError(
            f'the student is a {type(student).__name__}, and what is exported are segmentors with '
            "backbone and decode_head, and mmpretrain's classifiers"
        )
    for name, value in student.state_dict().items():
        if not value.isfinite().all():
            raise ValueError(
                f'{name} of the checkpoint has values that are no finite numbers: the training has '
                'diverged'
            )
    meta = read_checkpoint(str(checkpoint)).get('meta') or {}
    progress = {key: meta[key] for key in ('epoch', 'iter') if isinstance(meta.get(key), int)}
    classes = meta.get('dataset_meta') or _metainfo(cfg)
    with tempfile.TemporaryDirectory(prefix='.student.', dir=nearest) as unfinished:
        folder, text = Path(unfinished), plain.pretty_text
        (folder / CONFIG).write_text(text, encoding='utf-8')
        content = student_checkpoint(student.state_dict(), text, classes, **progress)
        save_atomically(content, folder / CHECKPOINT)
        shipped = load_shipped(folder / CONFIG, folder / CHECKPOINT, classifies)
        prove_same_weights(student, shipped)
        got = predict_shipped(shipped, image, classifies)
        prove_equal(predict_by_recipe(model, cfg, image), got)
        shapes = dict(inputs=list(got.inputs.shape), logits=list(got.logits.shape))
        report = {
            'config': Path(config).name,
            'checkpoint': {**_named(checkpoint), **progress},
            'network': _network(shipped, _head(classifies)),
            'left_out': left_out,
            'preprocessing': preprocessing(shipped),
            'proof': {'image': _named(image), **shapes, 'equal': True},
        }
        if onnx:
            report['onnx'] = _write_onnx(shipped, got.inputs, onnx, report, folder / ONNX)
        report['sha256'] = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        report['versions'] = versions(*(('onnx', 'onnxruntime') if onnx else ()))
        (folder / REPORT).write_text(json.dumps(report, indent=2) + '\n', encoding='utf-8')
        out.mkdir(parents=True, exist_ok=True)
        for name in (REPORT, ONNX):  # of an earlier student
            (out / name).unlink(missing_ok=True)
        for path in sorted(folder.iterdir(), reverse=True):  # the report last
            os.replace(path, out / path.name)
    return report


def sha256_of(path: Any) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _metainfo(cfg: Config) -> dict[str, Any]:
    """By the data set's class and config; where they name no classes by the data themselves."""
    dataset = (cfg.get('val_dataloader') or cfg.get('test_dataloader') or {}).get('dataset') or {}
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    with DATASETS.switch_scope_and_registry(dataset.get('_scope_')) as registry:
        of_class = getattr(registry.get(dataset.get('type') or ''), 'METAINFO', {})
    own = dataset.get('metainfo') or {}
    return of_class if of_class and not own else _validation_data(cfg).metainfo


def _validation_data(cfg: Config) -> Any:
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    loader = cfg.get('val_dataloader') or cfg.get('test_dataloader') or {}
    try:
        return DATASETS.build(loader['dataset'])
    except Exception as error:  # whatever a data set may raise
        raise ValueError(
            'there are no validation data to prove the export with: set --image PATH, or '
            f'--cfg-options data_root=PATH ({type(error).__name__}: {error})'
        ) from error


def _head(classifies: bool) -> str:
    return 'head' if classifies else 'decode_head'


def _network(student: nn.Module, name: str) -> dict[str, Any]:
    head = getattr(student, name)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    meta = student.dataset_meta if hasattr(student, 'dataset_meta') else student._dataset_meta
    parts = dict(type=student, backbone=student.backbone, **{name: head})
    return {
        **{key: type(part).__name__ for key, part in parts.items()},
        'classes': list(meta['classes']),
        'parameters': sum(p.numel() for p in student.parameters()),
    }


def _write_onnx(
    student: nn.Module, image: Tensor, size: Any, report: dict, path: Path
) -> dict[str, Any]:
    network, is_dynamic = WholeImage(student), size == DYNAMIC
    if not is_dynamic and size is not True:
        image = nn.functional.interpolate(image, size, mode='bilinear', align_corners=False)
    meta = {
        'classes': report['network']['classes'],
        'checkpoint_sha256': report['checkpoint']['sha256'],
        'test_mode': student.test_cfg.get('mode', 'whole'),
        **report['preprocessing'],
    }
    # Of a single image the exporter would take the 1 for a constant.
    write_onnx(network, image.repeat(2, 1, 1, 1), is_dynamic, meta, path)
    cases = check_onnx(path, network, image, is_dynamic)
    sizes = ['height', 'width'] if is_dynamic else list(image.shape[2:])
    return {
        'input': ['batch', image.shape[1], *sizes],
        'logits': ['batch', student.out_channels, *sizes],
        'test_mode': meta['test_mode'],
        'cases': [case._asdict() for case in cases],
    }


def _named(path: Any) -> dict[str, str]:
    return {'name': Path(path).name, 'sha256': sha256_of(path)}
