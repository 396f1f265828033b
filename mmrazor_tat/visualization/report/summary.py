"""All that a work dir tells of its run, for reports."""

import math
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

from mmengine import Config

from ...compat.checkpoints import read_checkpoint
from ...models.teacher.identity import KEY, TeacherIdentity
from ...utils.work_dir import (
    NO_METRICS,
    diverged_at,
    last_checkpoint,
    log_files,
    read_record,
    step_of,
)
from ..curves import Run, series


class Metric(NamedTuple):
    """Of the validations: the last value, and the greatest (of equal ones the first)."""

    last: float
    best: float
    best_iteration: int


@dataclass(frozen=True)
class RunSummary:
    """What a work dir tells; None or empty where it does not."""

    run: Run  # what was logged
    config: Optional[Path] = None  # the complete one of the last start, or mmengine's copy
    versions: dict[str, str] = field(default_factory=dict)  # by module
    iterations: int = 0  # that the training has come to
    max_iterations: Optional[int] = None  # that it is to make; None where it counts epochs
    gpu_mib: Optional[float] = None  # the peak of torch's allocator
    diverged_at: Optional[int] = None  # since when the loss is no finite number, up to the end
    metrics: dict[str, Metric] = field(default_factory=dict)
    checkpoint: Optional[Path] = None  # the best that mmengine kept, else the last; complete
    teacher: Optional[TeacherIdentity] = None  # that the checkpoint was trained with
    notes: list[str] = field(default_factory=list)  # what could not be read; what the labels hold

    def require_checkpoint(self) -> str:
        """The path of the checkpoint.

        Raises:
            FileNotFoundError: there is none.
        """
        if self.checkpoint is None:
            raise FileNotFoundError(f'{self.run.folder} holds no checkpoint')
        return str(self.checkpoint)


def summarize(run: Run) -> RunSummary:
    """Read the rest of a work dir: config, checkpoint, the record of a suite."""
    folder, notes = run.folder, []
    config, cfg = _config(folder, notes)
    last = last_checkpoint(folder)
    checkpoint, content = _best_checkpoint(folder) or last, {}
    try:
        content = {} if checkpoint is None else read_checkpoint(str(checkpoint))
    except (ValueError, OSError) as error:
        notes.append(f'{checkpoint} cannot be read: {error}')
    hub = (content.get('message_hub') or {}).get('runtime_info') or {}  # of RecipeCheckHook
    if hub.get('labels'):
        notes.append(f'{folder.name}: {hub["labels"]}')
    identity = content.get('state_dict', {}).get(KEY)
    recorded = (read_record(folder) or {}).get('versions') or {}
    # A checkpoint's name may be later than the last line.
    done = step_of(last) if last is not None and last.name.startswith('iter_') else 0
    memory, metrics = series(run.training, 'memory'), {}
    for name in run.validation:
        values = series(run.validation, name)
        if len(values) and name not in NO_METRICS:
            best = values.fillna(-math.inf).idxmax()
            metrics[name] = Metric(values.iloc[-1], values[best], int(best))
    return RunSummary(
        run=run,
        config=config,
        versions={name: of for name, of in (hub.get('versions') or recorded).items() if of},
        iterations=max(run.iterations, done),
        max_iterations=(cfg.get('train_cfg') or {}).get('max_iters'),
        gpu_mib=None if memory.empty else memory.max(),
        diverged_at=diverged_at(series(run.training, 'loss').to_dict()),
        metrics=metrics,
        checkpoint=checkpoint,
        teacher=None if identity is None else TeacherIdentity.from_tensor(identity),
        notes=notes,
    )


def _config(folder: Path, notes: list[str]) -> tuple[Optional[Path], dict]:
    """The newest config that can be read, e.g. is not half-written."""
    starts = [log for log in reversed(log_files(folder)) if '"iter"' in log.read_text()]
    paths = [log.with_name('config.py') for log in starts]
    paths += sorted(folder.glob('*.py'), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in (path for path in paths if path.is_file()):
        try:
            return path, Config.fromfile(path, import_custom_modules=False)
        except Exception as error:
            notes.append(f'{path} cannot be read: {error}')
    return None, {}


def _best_checkpoint(folder: Path) -> Optional[Path]:
    """mmengine deletes the best before; of several metrics the newest remains, of those mIoU's."""
    found = [
        path
        for path in folder.glob('best_*.pth')
        if re.search(r'_(iter|epoch)_\d+$', path.stem) and zipfile.is_zipfile(path)
    ]
    return max(found, key=lambda path: (step_of(path), 'mIoU' in path.name), default=None)
