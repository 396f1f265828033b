"""What a report shows of a run, from its work dir."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ...utils.config_options import apply_options
from ...utils.configs import is_classifier, is_recipe, model_of, read_config_file
from ..attention.comparison import compare_attention
from ..attention.image import ImageAttention
from ..curves import Run, labels_of, read_runs
from ..panels import (
    Comparison,
    Network,
    check_counts,
    compare,
    load_networks,
    validation_data,
)
from .summary import RunSummary, summarize_run


@dataclass(frozen=True)
class Report:
    """What :func:`gather` finds.

    Attributes:
        title: of the page.
        runs: their curves, the reported run first, then the plain student, then the others.
        summaries: what their work dirs tell, in the same order.
        config: the complete config of the reported run, as text.
        comparison: the networks on validation images; None where they could not be had.
        attention: by the name of an image, its states ('before', 'after'); see
            :func:`..attention.comparison.compare_attention`.
        pictures: what AttentionVisualizationHook painted in the training: by the name of a
            picture, the first and the last, as (iteration, path).
        notes: what is missing, and why.
    """

    title: str
    runs: list[Run]
    summaries: list[RunSummary]
    config: str
    comparison: Optional[Comparison] = None
    attention: dict[str, dict[str, ImageAttention]] = field(default_factory=dict)
    pictures: dict[str, list[tuple[int, Path]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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
    check_counts(count, num_images)
    if attention_images < 0:
        raise ValueError(f'attention_images must be at least 0, got {attention_images}')
    folders = [Path(f) for f in (folder, *([plain] if plain else []), *others)]
    runs = read_runs(folders, labels)
    runs = [replace(run, label=label) for run, label in zip(runs, labels_of(runs))]
    summaries = [summarize_run(f) for f in folders]
    notes = [note for summary in summaries for note in summary.notes]
    cfg = _config(summaries[0], options or {}, notes)
    comparison, attention = None, {}
    if with_networks and cfg is not None and is_classifier(cfg):
        notes.append('no panels and no attention pictures: these are of segmentation')
    elif with_networks and cfg is not None:
        comparison = _attempt(
            'segmentation panels',
            notes,
            lambda: compare(
                cfg,
                _networks(cfg, runs, summaries, plain is not None, notes),
                count,
                num_images,
                progress,
            ),
        )
        if is_recipe(cfg) and attention_images:
            found = _attempt(
                'attention pictures',
                notes,
                lambda: _attention(cfg, summaries[0], comparison, attention_images, points, notes),
            )
            attention = found or {}
    return Report(
        title=title or f'Report of {runs[0].label}',
        runs=runs,
        summaries=summaries,
        config='' if cfg is None else cfg.pretty_text,
        comparison=comparison,
        attention=attention,
        pictures=_pictures(folders[0]),
        notes=list(dict.fromkeys(notes)),
    )


def _config(summary: RunSummary, options: dict, notes: list[str]) -> Optional[Config]:
    for path in filter(None, (summary.last_config, summary.config)):
        try:
            cfg = Config.fromfile(path)
        except Exception as error:  # half-written
            notes.append(f'{path} cannot be read: {error}')
            continue
        apply_options(cfg, options)
        return cfg
    notes.append(f'{summary.folder} holds no config that can be read: no panels, no attention')
    return None


def _attempt(what: str, notes: list[str], make: Callable[[], Any]) -> Any:
    """What ``make`` gives; None, and a note, where files are missing or do not fit."""
    try:
        return make()
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        notes.append(f'no {what}: {error}')
        return None


def checkpoint_of(summary: RunSummary) -> str:
    """The checkpoint whose networks are shown: the best, else the last.

    Raises:
        FileNotFoundError: there is none.
    """
    path = summary.best_checkpoint or summary.last_checkpoint
    if path is None:
        raise FileNotFoundError(f'{summary.folder} holds no checkpoint')
    return str(path)


def _networks(
    cfg: Config, runs: list[Run], summaries: list[RunSummary], has_plain: bool, notes: list[str]
) -> list[Network]:
    names = ('teacher', runs[1].label if has_plain else '', runs[0].label)
    plain = plain_cfg = None
    if has_plain:
        plain = checkpoint_of(summaries[1])
        plain_cfg = summaries[1].last_config and read_config_file(summaries[1].last_config)
        own, other = model_of(cfg), model_of(plain_cfg or cfg)
        if any(own.get(part) != other.get(part) for part in ('backbone', 'decode_head')):
            notes.append(
                f'{names[1]} trained another network than the student of {names[2]}: its "gains" '
                'are not those of the distillation alone'
            )
    return load_networks(cfg, checkpoint_of(summaries[0]), plain, plain_cfg, names=names)


def _attention(
    cfg: Config,
    run: RunSummary,
    comparison: Optional[Comparison],
    count: int,
    points: Optional[Sequence[tuple[float, float]]],
    notes: list[str],
) -> dict[str, dict[str, ImageAttention]]:
    dataset = validation_data(cfg)
    # Those of the panels, so that a reader can hold one against the other.
    shown = [sample.index for sample in comparison.samples] if comparison else range(len(dataset))
    paths = [dataset.get_data_info(index)['img_path'] for index in list(shown)[:count]]
    states, found = compare_attention(cfg, checkpoint_of(run), paths, points)
    notes += found
    return {Path(path).stem: state for path, state in zip(paths, states)}


def _pictures(folder: Path) -> dict[str, list[tuple[int, Path]]]:
    """The hook's, over all starts."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob('*/vis_data/vis_image/attention_*.png')):
        name, _, step = path.stem.rpartition('_')
        if step.isdigit() and _is_whole(path):
            found.setdefault(name.removeprefix('attention_'), {})[int(step)] = path
    return {
        name: [(step, by_step[step]) for step in dict.fromkeys((min(by_step), max(by_step)))]
        for name, by_step in found.items()
    }


def _is_whole(picture: Path) -> bool:
    """A run that is killed may leave half of one; a PNG ends so."""
    return picture.read_bytes().endswith(b'IEND\xaeB`\x82')
