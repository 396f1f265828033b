"""An exported student as the hubs of Hugging Face and ModelScope take it."""

import json
import shutil
import statistics
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ..compat.checkpoints import read_checkpoint
from ..utils.config_options import read_config
from ..utils.configs import is_classifier, is_recipe
from ..utils.errors import how_to_install, is_installed
from ..utils.files import write_atomically
from ..utils.work_dir import NO_METRICS, read_lines
from .make import CHECKPOINT, CONFIG, ONNX, REPORT

CARD = 'README.md'
_CARD = """---
# To fill: the licence of the weights, which follows from that of the data and of the teacher.
license: other
library_name: {library}
pipeline_tag: {task}
tags:
- knowledge-distillation
- {library}
- pytorch
{index}---

# {title}

{parameters:.2f} M parameters, {count} classes: {classes}.

{distilled}
* **Data**: {data}
* **Scores**: {scores}
* **Licence**: to be filled, with those of the data and of the teacher.

```python
from {library}.apis import init_model
from safetensors.torch import load_file
model = init_model('student.py', device='cpu')
model.load_state_dict(load_file('model.safetensors'))
```

`model.dataset_meta = model.cfg.dataset_meta` names the classes. `student.py` is a complete config
for {library} alone{onnx}. `export.json` has SHA-256 sums, versions and the preprocessing.
"""
_SCORES = {'mIoU': 'mean_iou', 'accuracy/top1': 'accuracy'}  # as the hubs name them


def check_hub_folder(folder: Path) -> None:
    """Raise ValueError where it holds something, or safetensors is not installed."""
    if not is_installed('safetensors'):
        raise ValueError(f'--hub needs safetensors: {how_to_install("safetensors")}')
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f'--hub {str(folder)!r} is not empty: choose another folder')


def write_hub_folder(
    config: str,
    checkpoint: Path,
    exported: Path,
    folder: Path,
    report: dict[str, Any],
    options: Optional[dict] = None,
) -> None:
    """Write 'model.safetensors', the plain config, the ONNX file where there is one, and a card.

    The card has teacher, method and data by the recipe, and the scores of the run's own log: of
    all seeds, where the run is one of a suite.

    Args:
        config, checkpoint, options: what was exported.
        exported: its folder.
        folder: what is written.
        report: what :func:`export_student` gave.

    Raises:
        ValueError: see :func:`check_hub_folder`.
    """
    check_hub_folder(folder)
    from safetensors.torch import save_file

    cfg = read_config(config, options or {})
    content = read_checkpoint(str(exported / CHECKPOINT))
    meta = content['meta']['dataset_meta']
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.contiguous() for key, value in content['state_dict'].items()}
    about = dict(format='pt', dataset_meta=json.dumps(meta))
    save_file(weights, folder / 'model.safetensors', metadata=about)
    text = (exported / CONFIG).read_text(encoding='utf-8')
    write_atomically(folder / CONFIG, f'{text}\ndataset_meta = {meta!r}\n')
    for name in (ONNX, REPORT):
        if (exported / name).exists():
            shutil.copyfile(exported / name, folder / name)
    task = 'image-classification' if is_classifier(cfg) else 'image-segmentation'
    framework = dict(framework='pytorch', task=task)
    write_atomically(folder / 'configuration.json', json.dumps(framework, indent=2) + '\n')
    write_atomically(folder / CARD, _card(cfg, checkpoint, report, task, folder))


def _card(cfg: Config, checkpoint: Path, report: dict, task: str, folder: Path) -> str:
    network = report['network']
    title = f'{network["backbone"]} + {network.get("decode_head") or network["head"]}'
    distilled = 'Trained without a teacher.\n'
    if is_recipe(cfg):
        distilled = f'{_distilled(cfg)}\n'
        title += ', distilled'
    dataset = (cfg.get('val_dataloader') or {}).get('dataset') or {}
    data = f'`{dataset.get("type", "not named")}`'
    scores, index = _scores(Path(checkpoint).parent), ''
    known = {_SCORES[name]: values for name, values in scores.items() if name in _SCORES}
    if known:
        kind = str(dataset.get('type'))
        lines = ['model-index:', f'- name: {json.dumps(title)}', '  results:', '  - task:']
        lines += [f'      type: {task}', '    dataset:', f'      name: {json.dumps(kind)}']
        lines += [f'      type: {json.dumps(kind)}', '    metrics:']
        for name, values in known.items():
            lines += [f'    - type: {name}', f'      value: {statistics.mean(values):.2f}']
        index = '\n'.join(lines) + '\n'
    return _CARD.format(
        library='mmpretrain' if is_classifier(cfg) else 'mmseg',
        task=task,
        index=index,
        title=title,
        parameters=network['parameters'] / 1e6,
        count=len(network['classes']),
        classes=', '.join(network['classes'][:20]) + ', ...' * (len(network['classes']) > 20),
        distilled=distilled.rstrip(),
        data=data,
        scores=_in_words(scores),
        onnx=', `student.onnx` the same network' * (folder / ONNX).exists(),
    )


def _distilled(cfg: Config) -> str:
    teacher, losses = cfg.model.teacher, cfg.model.distiller.distill_losses.values()
    kinds = ', '.join(f'`{loss["type"].split(".")[-1]}`' for loss in losses)
    parts = ' + '.join(
        str(of['type'])
        for of in (teacher.get('backbone'), teacher.get('decode_head') or teacher.get('head'))
        if isinstance(of, dict)
    )
    depth = (teacher.get('backbone') or {}).get('depth')
    named = Path(str(cfg.model.get('teacher_ckpt') or 'not named')).name
    return (
        f'* **Teacher**: {parts}{f", depth {depth}" if depth else ""}; weights `{named}`\n'
        f'* **Method**: {kinds} ([mmrazor_tat](https://github.com/mmrazor-tat/mmrazor_tat))'
    )


def _scores(folder: Path) -> dict[str, list[float]]:
    """What the last validation gave, by metric; of every seed of a run of a suite."""
    folders = [folder]
    if folder.name.startswith('seed'):
        folders = sorted(folder.parent.glob('seed*'))
    scores: dict[str, list[float]] = {}
    for of in folders:
        lines = [line for line in read_lines(of) if 'loss' not in line]
        last = lines[-1] if lines else {}
        for name, value in last.items():
            if name not in NO_METRICS and '/' not in name.replace('accuracy/', ''):
                scores.setdefault(name, []).append(float(value))
    return scores


def _in_words(scores: dict[str, list[float]]) -> str:
    texts = []
    for name, values in scores.items():
        spread = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
        texts.append(f'{name} {statistics.mean(values):.2f}{spread}')
    seeds = len(next(iter(scores.values()), []))
    how = f' (last validation, {seeds} seed{"s" * (seeds > 1)})'
    return ', '.join(texts) + how if texts else 'no validation was logged beside the checkpoint'
