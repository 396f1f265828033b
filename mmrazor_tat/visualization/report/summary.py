"""All that a work dir tells of its run, for reports."""

import math
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ...compat.checkpoint_file import read_checkpoint
from ...models.teacher.identity import KEY, TeacherIdentity
from ...utils import work_dir
from ...utils.work_dir import (
    diverged_at,
    last_checkpoint,
    log_files,
    read_record,
    read_starts,
    step_of,
)
from ..curves.run import Run, epoch_length, read_run
from ..curves.series import series

_NO_METRICS = ('step', 'iter', 'epoch', 'time', 'data_time', 'memory')
# By the name of a module, as the record of a suite has it: mmengine's names.
LOGGED_VERSIONS = dict(python='Python', torch='PyTorch', mmengine='MMEngine', cv2='OpenCV')


@dataclass(frozen=True)
class Metric:
    """A metric of the validations.

    Attributes:
        last, last_iteration: of the last validation.
        best, best_iteration: the greatest, of equal ones the first; NaN only if all are.
    """

    last: float
    last_iteration: int
    best: float
    best_iteration: int


@dataclass(frozen=True)
class RunSummary:
    """What a work dir tells; None or empty where it does not.

    Attributes:
        folder: the work dir.
        config: the newest config that mmengine wrote into the work dir, under its own name.
        last_config: the config of the last start, complete, with all options: vis_data/config.py.
        environment: machine and settings as mmengine logged them at the last start: 'GPU 0',
            'PyTorch', 'seed', ...
        versions: by module: python, torch, mmengine, cv2; of a run of a suite also mmcv, mmseg,
            mmrazor, mmrazor_tat. mmengine's may come from the checkpoint.
        starts: how many trained.
        resumed: how many of them went on from a checkpoint.
        iterations: that the training has come to.
        max_iterations: that it is to make; of epochs, as far as an epoch's length is logged.
        epochs, max_epochs: the same in epochs; None where the training counts iterations alone.
        wall_seconds: from the first to the last line of the text log, over all starts.
        training_seconds: of the logged iterations of all starts, also those that were done twice;
            without validations.
        gpu_mib: the peak of torch's allocator.
        diverged_at: since which iteration the loss is no finite number, up to the end.
        metrics: by name.
        last_checkpoint: the newest that a run can resume from, complete.
        best_checkpoint: the newest that mmengine kept as the best.
        teacher: of a distillation: the one that the checkpoint was trained with. Checkpoints of
            older versions of this package do not name it.
        notes: what could not be read, and why; what the training's labels hold.
    """

    folder: Path
    config: Optional[Path] = None
    last_config: Optional[Path] = None
    environment: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    starts: int = 0
    resumed: int = 0
    iterations: int = 0
    max_iterations: Optional[int] = None
    epochs: Optional[int] = None
    max_epochs: Optional[int] = None
    wall_seconds: Optional[float] = None
    training_seconds: Optional[float] = None
    gpu_mib: Optional[float] = None
    diverged_at: Optional[int] = None
    metrics: dict[str, Metric] = field(default_factory=dict)
    last_checkpoint: Optional[Path] = None
    best_checkpoint: Optional[Path] = None
    teacher: Optional[TeacherIdentity] = None
    notes: list[str] = field(default_factory=list)


def summarize_run(folder: Path) -> RunSummary:
    """Read a work dir.

    Args:
        folder: of a run, finished or not.

    Raises:
        FileNotFoundError, ValueError: there is no log, or no line in it: see :func:`read_run`.
    """
    folder = Path(folder)
    run = read_run(folder)
    notes: list[str] = []
    starts = [
        (path.parent.parent, [line for line in lines if 'iter' in line])
        for path, lines in zip(log_files(folder), read_starts(folder))
    ]
    starts = [(start, lines) for start, lines in starts if lines]
    texts = [work_dir.read_text_log(start) for start, _ in starts]
    environment = next(filter(None, map(work_dir.environment, reversed(texts))), {})

    configs = [start / 'vis_data/config.py' for start, _ in starts]
    last_config = next((path for path in reversed(configs) if path.is_file()), None)
    cfg = _read_config(last_config, notes)
    interval = cfg.get('default_hooks', {}).get('logger', {}).get('interval')
    begun = [_begun_at(text, lines, interval) for text, (_, lines) in zip(texts, starts)]
    walls = [seconds for seconds in map(work_dir.seconds, texts) if seconds is not None]

    last, best = last_checkpoint(folder), _best_checkpoint(folder)
    content = _read_checkpoint(last or best, notes)
    hub = (content.get('message_hub') or {}).get('runtime_info') or {}
    if hub.get('labels'):  # of RecipeCheckHook
        notes.append(f'{folder.name}: {hub["labels"]}')
    identity = content.get('state_dict', {}).get(KEY)
    return RunSummary(
        folder=folder,
        config=max(folder.glob('*.py'), key=lambda path: path.stat().st_mtime, default=None),
        last_config=last_config,
        environment=environment,
        versions=_versions(folder, environment, content),
        starts=len(starts),
        resumed=sum(iteration > 0 for iteration in begun),
        wall_seconds=sum(walls) if walls else None,
        training_seconds=_training_seconds(begun, [lines for _, lines in starts]),
        gpu_mib=max(
            (x['memory'] for _, lines in starts for x in lines if 'memory' in x), default=None
        ),
        diverged_at=diverged_at({x['iter']: x['loss'] for x in run.training if 'loss' in x}),
        metrics=_metrics(run),
        last_checkpoint=last,
        best_checkpoint=best,
        teacher=None if identity is None else TeacherIdentity.from_tensor(identity),
        notes=notes,
        **_progress(run, cfg.get('train_cfg') or {}, last),
    )


def _read_config(path: Optional[Path], notes: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return Config.fromfile(path, import_custom_modules=False)
    except Exception as error:  # whatever a half-written Python file may raise
        notes.append(f'{path} cannot be read: {error}')
        return {}


def _begun_at(text: str, lines: list[dict], interval: Optional[int]) -> int:
    """The iteration that a start went on from; 0 of a new training.

    Where the text log does not tell: the first line of a new training comes after ``interval``
    iterations at most.
    """
    told = work_dir.resumed_at(text)
    if told is not None:
        return told
    first = lines[0]['iter']
    if interval is None:
        interval = lines[1]['iter'] - first if len(lines) > 1 else first
    return max(0, first - interval)


def _training_seconds(begun: list[int], starts: list[list[dict]]) -> Optional[float]:
    """A line's 'time' is the mean since the line before."""
    total, is_known = 0.0, False
    for before, lines in zip(begun, starts):
        for line in lines:
            if 'time' in line:
                total += line['time'] * (line['iter'] - before)
                is_known = True
            before = line['iter']
    return total if is_known else None


def _progress(run: Run, train_cfg: dict, checkpoint: Optional[Path]) -> dict[str, Optional[int]]:
    iterations = run.iterations
    if checkpoint is not None and checkpoint.name.startswith('iter_'):
        iterations = max(iterations, step_of(checkpoint))  # later than the last line
    epochs = max((line['epoch'] for line in run.training if 'epoch' in line), default=None)
    length, max_epochs = epoch_length(run.training), train_cfg.get('max_epochs')
    max_iterations = train_cfg.get('max_iters')
    if max_iterations is None and max_epochs is not None and length is not None:
        max_iterations = round(max_epochs * length)
    return dict(
        iterations=iterations,
        max_iterations=max_iterations,
        epochs=epochs,
        max_epochs=max_epochs,
    )


def _metrics(run: Run) -> dict[str, Metric]:
    names = dict.fromkeys(name for line in run.validation for name in line)
    metrics = {}
    for name in names:
        points = list(zip(*series(run.validation, name)))
        if points and name not in _NO_METRICS:
            best = max(points, key=lambda p: -math.inf if math.isnan(p[1]) else p[1])
            metrics[name] = Metric(points[-1][1], points[-1][0], best[1], best[0])
    return metrics


def _best_checkpoint(folder: Path) -> Optional[Path]:
    """mmengine deletes the best before; of several metrics the newest remains, of those mIoU's."""
    found = [
        path
        for path in folder.glob('best_*.pth')
        if re.search(r'_(iter|epoch)_\d+$', path.stem) and zipfile.is_zipfile(path)
    ]
    return max(found, key=lambda path: (step_of(path), 'mIoU' in path.name), default=None)


def _read_checkpoint(path: Optional[Path], notes: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return read_checkpoint(str(path))
    except ValueError as error:
        notes.append(str(error))
        return {}


def _versions(folder: Path, environment: dict[str, str], checkpoint: dict) -> dict[str, str]:
    meta, hub = checkpoint.get('meta') or {}, checkpoint.get('message_hub') or {}
    versions = dict(hub.get('runtime_info', {}).get('versions') or {})  # of RecipeCheckHook
    if meta.get('mmengine_version'):  # with the commit right behind it where mmengine is a clone
        versions['mmengine'] = re.sub(r'[0-9a-f]{40}$', '', meta['mmengine_version'])
    for module, name in LOGGED_VERSIONS.items():
        if name in environment:
            versions[module] = environment[name]
    recorded = (read_record(folder) or {}).get('versions') or {}
    versions.update({module: value for module, value in recorded.items() if value})
    return versions
