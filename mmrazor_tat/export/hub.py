"""An exported student as the hubs of Hugging Face and ModelScope take it."""

import inspect
import json
import re
import shutil
import statistics
from pathlib import Path
from typing import Any, Optional

from mmengine import Config
from mmrazor.registry import MODELS

from ..compat.checkpoints import read_checkpoint
from ..models.teacher.identity import KEY, TeacherIdentity
from ..utils.config_options import read_config
from ..utils.configs import is_classifier, is_recipe
from ..utils.errors import how_to_install, is_installed
from ..utils.files import write_atomically
from ..utils.networks import seed_of
from ..utils.work_dir import NO_METRICS, read_lines
from .make import CHECKPOINT, CONFIG, ONNX, REPORT

CARD, WEIGHTS = 'README.md', 'model.safetensors'
_CARD = """---
# To fill: the licence of the weights, which follows from that of the data and of the teacher.
license: other
license_name: to-be-filled
license_link: LICENSE
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
(Where mmcv-lite stands for mmcv: `import mmrazor_tat` first.)
"""
_SCORES = {'mIoU': 'mean_iou', 'accuracy/top1': 'accuracy'}  # as the hubs name them


def check_hub_folder(folder: Path) -> None:
    """Raise ValueError where it holds something, or safetensors is not installed."""
    if not is_installed('safetensors'):
        raise ValueError(f'--hub needs safetensors: {how_to_install("safetensors")}')
    if folder.is_file():
        raise ValueError(f'--hub {str(folder)!r} is a file: name a folder')
    if folder.exists() and any(folder.iterdir()):
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
    save_file(weights, folder / WEIGHTS, metadata=about)
    text = (exported / CONFIG).read_text(encoding='utf-8')
    write_atomically(folder / CONFIG, f'{text}\ndataset_meta = {meta!r}\n')
    for name in (ONNX, REPORT):
        if (exported / name).exists():
            shutil.copyfile(exported / name, folder / name)
    task = 'image-classification' if is_classifier(cfg) else 'image-segmentation'
    framework = dict(framework='pytorch', task=task)
    write_atomically(folder / 'configuration.json', json.dumps(framework, indent=2) + '\n')
    write_atomically(folder / CARD, _card(cfg, Path(checkpoint), report, task, folder))


def _card(cfg: Config, checkpoint: Path, report: dict, task: str, folder: Path) -> str:
    network, run = report['network'], read_checkpoint(str(checkpoint))
    title = f'{network["backbone"]} + {network.get("decode_head") or network["head"]}'
    distilled = '* **Teacher**: none in the config that this was made from.'
    if is_recipe(cfg):
        distilled = _distilled(cfg, run.get('state_dict', {}))
        title += ', distilled'
    dataset = (cfg.get('val_dataloader') or {}).get('dataset') or {}
    data = f'`{dataset.get("type", "not named")}`'
    if dataset.get('data_root'):
        data += f' in the folder `{Path(dataset["data_root"]).name}`'
    meta = run.get('meta', {})
    seed, until = seed_of(cfg, meta), meta.get('epoch' if 'epoch' in checkpoint.stem else 'iter')
    scores, seeds = _scores(checkpoint.parent, [] if seed is None else [seed], until)
    index = ''
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
        distilled=distilled,
        data=data,
        scores=_in_words(scores, seeds),
        onnx=', `student.onnx` the same network' * (folder / ONNX).exists(),
    )


def _distilled(cfg: Config, weights: dict) -> str:
    """Teacher and method; ``weights``: of the run's checkpoint, which names its teacher."""
    teacher, losses = cfg.model.teacher, cfg.model.distiller.distill_losses.values()
    parts = ' + '.join(
        str(of['type'])
        for of in (teacher.get('backbone'), teacher.get('decode_head') or teacher.get('head'))
        if isinstance(of, dict)
    )
    depth = (teacher.get('backbone') or {}).get('depth')
    named, digest = str(cfg.model.get('teacher_ckpt') or 'not named'), ''
    if KEY in weights:
        identity = TeacherIdentity.from_tensor(weights[KEY])
        named, digest = identity.checkpoint, f', SHA-256 `{identity.sha256}`'
    lines = [
        f'* **Teacher**: {parts}{f", depth {depth}" if depth else ""}; weights '
        f'`{Path(named).name}`{digest}'
    ]
    for kind in dict.fromkeys(loss['type'] for loss in losses):
        about = (inspect.getdoc(MODELS.get(kind)) or '').split('\n\n')[0]
        lines.append(f'* **Method**: `{kind.split(".")[-1]}`: {" ".join(about.split())}')
    lines[-1] += ' ([mmrazor_tat](https://github.com/mmrazor-tat/mmrazor_tat))'
    return '\n'.join(lines)


def _scores(
    folder: Path, seeds: list[int], until: Optional[int]
) -> tuple[dict[str, list[float]], list[int]]:
    """What the last validation up to a step gave, by metric; of every seed of a run of a suite. The
    seeds."""
    folders = [folder]
    if re.fullmatch(r'seed\d+', folder.name):
        folders = sorted(folder.parent.glob('seed*'))
        seeds = [int(of.name.removeprefix('seed')) for of in folders]
    scores: dict[str, list[float]] = {}
    for of in folders:
        lines = [
            line
            for line in read_lines(of)
            if 'loss' not in line and (until is None or line.get('step', 0) <= until)
        ]
        last = lines[-1] if lines else {}
        for name, value in last.items():
            if name not in NO_METRICS and '/' not in name.replace('accuracy/', ''):
                scores.setdefault(name, []).append(float(value))
    return scores, seeds


def _in_words(scores: dict[str, list[float]], seeds: list[int]) -> str:
    texts = []
    for name, values in scores.items():
        spread = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
        texts.append(f'{name} {statistics.mean(values):.2f}{spread}')
    drawn = f', seed{"s" * (len(seeds) > 1)} {", ".join(map(str, seeds))}' if seeds else ''
    how = f' (last validation before the checkpoint{drawn})'
    return ', '.join(texts) + how if texts else 'no validation was logged beside the checkpoint'
