"""What a report shows of a run, from its work dir."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ...utils.config_options import apply_options
from ...utils.configs import is_classifier, is_recipe, model_of, read_config_file
from ..attention.comparison import compare_attention
from ..attention.image import ImageAttention
from ..curves import read_runs
from ..panels import Comparison, Network, check_counts, compare, load_networks, validation_data
from .summary import RunSummary, summarize


@dataclass
class Report:
    """What :func:`gather` finds."""

    title: str
    runs: list[RunSummary]  # the reported one, the plain student, the others
    config: str = ''  # the complete one of the reported run
    comparison: Optional[Comparison] = None  # the networks on validation images
    # By the name of an image, its states ('before', 'after').
    attention: dict[str, dict[str, ImageAttention]] = field(default_factory=dict)
    # What AttentionVisualizationHook painted, by name, the first and the last: (iteration, path).
    pictures: dict[str, list[tuple[int, Path]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what is missing, and why

    def attempt(self, what: str, make: Callable[[], Any]) -> Any:
        """What ``make`` gives; None, and a note, where files are missing or do not fit."""
        try:
            return make()
        except (ValueError, OSError, RuntimeError, KeyError, ImportError) as error:
            self.notes.append(f'no {what}: {error}')
            return None


def gather(
    folder: Path,
    plain: Optional[Path] = None,
    others: Sequence[Path] = (),
    labels: Optional[Sequence[str]] = None,
    options: Optional[dict] = None,
    with_networks: bool = True,
    count: int = 8,
    num_images: Optional[int] = None,
    attention_images: int = 2,
    points: Optional[Sequence[tuple[float, float]]] = None,
    title: Optional[str] = None,
    progress: Optional[Callable[[int, int], None]] = None,
) -> Report:
    """Read work dirs, and run the networks of the first.

    What cannot be had (a moved data set, a teacher's file that is gone, a run without checkpoint)
    is named in the report's notes, and the rest is shown all the same.

    Args:
        folder: work dir of the run that is reported, of a recipe or a plain network.
        plain: work dir of the student trained without distillation: a column of the panels.
        others: work dirs that join the curves and the table.
        labels: of all these runs; None: by their folders.
        options: settings of the run's config, as ``--cfg-options`` has them.
        with_networks: False: logs only, no panels and no attention.
        count: images of the panels.
        num_images: validation images to evaluate for them; None: all.
        attention_images: how many images get attention pictures.
        points: of the attention, (x, y) in pixels; None: chosen by the teacher's map.
        title: of the page; None: from the run's name.
        progress: see :func:`..panels.compare`.

    Raises:
        FileNotFoundError, ValueError: a folder that is no work dir, a number out of range, or an
            option that does not fit.
    """
    check_counts(count=count, num_images=num_images)
    folders = [Path(f) for f in (folder, *([plain] if plain else []), *others)]
    runs = [summarize(run) for run in read_runs(folders, labels)]
    report = Report(title or f'Report of {runs[0].run.label}', runs, pictures=_pictures(folders[0]))
    report.notes += [note for run in runs for note in run.notes]
    path = runs[0].config
    cfg = path and report.attempt('panels, no attention', lambda: Config.fromfile(path))
    if cfg is None:
        report.notes.append(f'{folder} holds no config that can be read: no panels, no attention')
        return report
    apply_options(cfg, options or {})
    report.config = cfg.pretty_text
    if with_networks and is_classifier(cfg):
        report.notes.append('no panels and no attention pictures: these are of segmentation')
    elif with_networks:

        def panels() -> Comparison:
            networks = _networks(cfg, runs, plain is not None, report.notes)
            return compare(cfg, networks, count, num_images, progress)

        report.comparison = report.attempt('segmentation panels', panels)
        if is_recipe(cfg) and attention_images > 0:
            found = report.attempt(
                'attention pictures', lambda: _attention(cfg, report, attention_images, points)
            )
            report.attention = found or {}
    report.notes = list(dict.fromkeys(report.notes))
    return report


def _networks(
    cfg: Config, runs: list[RunSummary], has_plain: bool, notes: list[str]
) -> list[Network]:
    names = ('teacher', runs[1].run.label if has_plain else '', runs[0].run.label)
    plain = plain_cfg = None
    if has_plain:
        plain = runs[1].require_checkpoint()
        plain_cfg = runs[1].config and read_config_file(runs[1].config)
        own, other = model_of(cfg), model_of(plain_cfg or cfg)
        if any(own.get(part) != other.get(part) for part in ('backbone', 'decode_head')):
            notes.append(
                f'{names[1]} trained another network than the student of {names[2]}: its "gains" '
                'are not those of the distillation alone'
            )
    return load_networks(cfg, runs[0].require_checkpoint(), plain, plain_cfg, names=names)


def _attention(
    cfg: Config, report: Report, count: int, points: Optional[Sequence[tuple[float, float]]]
) -> dict[str, dict[str, ImageAttention]]:
    dataset, shown = validation_data(cfg), report.comparison
    # Those of the panels, so that a reader can hold one against the other.
    indices = [sample.index for sample in shown.samples] if shown else range(len(dataset))
    paths = [dataset.get_data_info(index)['img_path'] for index in indices[:count]]
    states, notes = compare_attention(cfg, report.runs[0].require_checkpoint(), paths, points)
    report.notes += notes
    return {Path(path).stem: state for path, state in zip(paths, states)}


def _pictures(folder: Path) -> dict[str, list[tuple[int, Path]]]:
    """The hook's, over all starts."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob('*/vis_data/vis_image/attention_*.png')):
        name, _, step = path.stem.rpartition('_')
        # A run that is killed may leave half of one; a PNG ends so.
        if step.isdigit() and path.read_bytes().endswith(b'IEND\xaeB`\x82'):
            found.setdefault(name.removeprefix('attention_'), {})[int(step)] = path
    return {
        name: [(step, by_step[step]) for step in dict.fromkeys((min(by_step), max(by_step)))]
        for name, by_step in found.items()
    }
