"""All that a work dir tells of its run, for reports."""

import math
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ...compat.checkpoints import read_checkpoint
from ...models.teacher.identity import KEY, TeacherIdentity
from ...utils import work_dir
from ...utils.work_dir import NO_METRICS, diverged_at, last_checkpoint, log_files, step_of
from ..curves.run import Lines, Run, epoch_length, read_run, series

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
        resumed: how many starts went on from a checkpoint.
        iterations: that the training has come to.
        max_iterations: that it is to make; of epochs, as far as an epoch's length is logged.
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
    resumed: int = 0
    iterations: int = 0
    max_iterations: Optional[int] = None
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
    run, notes = read_run(folder), []
    starts = [
        (path.parent.parent, [line for line in lines if 'iter' in line])
        for path, lines in zip(log_files(folder), work_dir.read_starts(folder))
    ]
    starts = [(start, lines) for start, lines in starts if lines]
    texts = [work_dir.read_text_log(start) for start, _ in starts]
    environment = next(filter(None, map(work_dir.environment, reversed(texts))), {})
    configs = [start / 'vis_data/config.py' for start, _ in starts]
    last_config = next((path for path in reversed(configs) if path.is_file()), None)
    read = Config.fromfile
    cfg = _attempt(lambda p: read(p, import_custom_modules=False), last_config, notes)
    interval = cfg.get('default_hooks', {}).get('logger', {}).get('interval')
    begun = [_begun_at(text, lines, interval) for text, (_, lines) in zip(texts, starts)]
    last, best = last_checkpoint(folder), _best_checkpoint(folder)
    content = _attempt(lambda p: read_checkpoint(str(p)), last or best, notes)
    hub = (content.get('message_hub') or {}).get('runtime_info') or {}
    if hub.get('labels'):  # of RecipeCheckHook
        notes.append(f'{folder.name}: {hub["labels"]}')
    identity = content.get('state_dict', {}).get(KEY)
    trained = [line for _, lines in starts for line in lines]
    return RunSummary(
        folder=folder,
        config=max(folder.glob('*.py'), key=lambda path: path.stat().st_mtime, default=None),
        last_config=last_config,
        environment=environment,
        versions=_versions(folder, environment, content, hub),
        resumed=sum(iteration > 0 for iteration in begun),
        iterations=max(run.iterations, _counted(last)),
        max_iterations=_max_iterations(cfg.get('train_cfg') or {}, trained),
        training_seconds=_training_seconds(begun, [lines for _, lines in starts]),
        gpu_mib=max((line['memory'] for line in trained if 'memory' in line), default=None),
        diverged_at=diverged_at(series(run.training, 'loss').to_dict()),
        metrics=_metrics(run),
        last_checkpoint=last,
        best_checkpoint=best,
        teacher=None if identity is None else TeacherIdentity.from_tensor(identity),
        notes=notes,
    )


def _attempt(read: Callable[[Path], Any], path: Optional[Path], notes: list[str]) -> Any:
    """What a file holds; nothing, and a note, where it cannot be read, e.g. is half-written."""
    try:
        return {} if path is None else read(path)
    except Exception as error:
        notes.append(f'{path} cannot be read: {error}')
        return {}


def _begun_at(text: str, lines: Lines, interval: Optional[int]) -> int:
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


def _training_seconds(begun: list[int], starts: list[Lines]) -> Optional[float]:
    """A line's 'time' is the mean since the line before."""
    found = []
    for before, lines in zip(begun, starts):
        for line in lines:
            found += [line['time'] * (line['iter'] - before)] if 'time' in line else []
            before = line['iter']
    return sum(found) if found else None


def _counted(checkpoint: Optional[Path]) -> int:
    """Iterations by a checkpoint's name, which may be later than the last line."""
    is_known = checkpoint is not None and checkpoint.name.startswith('iter_')
    return step_of(checkpoint) if is_known else 0


def _max_iterations(train_cfg: dict, trained: Lines) -> Optional[int]:
    length, epochs = epoch_length(trained), train_cfg.get('max_epochs')
    by_epochs = round(epochs * length) if epochs is not None and length is not None else None
    return train_cfg.get('max_iters', by_epochs)


def _metrics(run: Run) -> dict[str, Metric]:
    metrics = {}
    for name in run.validation:
        values = series(run.validation, name)
        if len(values) and name not in NO_METRICS:
            best = values.fillna(-math.inf).idxmax()
            ends = values.iloc[-1], int(values.index[-1])
            metrics[name] = Metric(*ends, values[best], int(best))
    return metrics


def _best_checkpoint(folder: Path) -> Optional[Path]:
    """mmengine deletes the best before; of several metrics the newest remains, of those mIoU's."""
    found = [
        path
        for path in folder.glob('best_*.pth')
        if re.search(r'_(iter|epoch)_\d+$', path.stem) and zipfile.is_zipfile(path)
    ]
    return max(found, key=lambda path: (step_of(path), 'mIoU' in path.name), default=None)


def _versions(
    folder: Path, environment: dict[str, str], checkpoint: dict, hub: dict
) -> dict[str, str]:
    found = dict(hub.get('versions') or {})  # of RecipeCheckHook
    logged = (checkpoint.get('meta') or {}).get('mmengine_version')
    if logged:  # with the commit right behind it where mmengine is a clone
        found['mmengine'] = re.sub(r'[0-9a-f]{40}$', '', logged)
    named = {module: environment.get(name) for module, name in LOGGED_VERSIONS.items()}
    recorded = (work_dir.read_record(folder) or {}).get('versions') or {}
    found.update({module: value for module, value in {**named, **recorded}.items() if value})
    return found
