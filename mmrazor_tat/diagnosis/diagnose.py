"""All checks of a distillation, the likeliest causes first."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ..utils.config_options import read_config
from ..utils.configs import is_classifier, is_recipe
from ..utils.errors import said
from ..utils.networks import trained_model
from ..visualization.attention.figure import attention_figure
from ..visualization.attention.image import attention_of_image
from ..visualization.curves import read_run
from ..visualization.figures import plt
from ..visualization.panels import Network, check_counts, compare, paint_label
from ..visualization.report import RunSummary, summarize
from ..visualization.web_page import figure_uri
from . import losses, maps, projections, teacher, training
from .agreement import check_agreement
from .scores import NotCheckedError
from .subject import Finding, Subject

# What spoils all that comes after it stands first.
CHECKS = (
    check_agreement,
    training.check_step,
    teacher.check_classes,
    teacher.check_input,
    teacher.check_knowledge,
    maps.check_alive,
    maps.check_alignment,
    losses.check_reach,
    losses.check_softmaxes,
    projections.check_shortcut,
    teacher.check_gap,
    losses.check_shares,
    training.check_batch_norms,
    teacher.check_student,
    training.check_labels_loss,
    training.check_curve,
    training.check_gain,
)


@dataclass
class Diagnosis:
    """What was found, the likeliest cause first; what was measured; and what could not be."""

    findings: list[Finding] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)  # the questions without a finding
    not_checked: dict[str, str] = field(default_factory=dict)  # question: what is missing
    measured: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)  # data URIs, by title


def diagnose(subject: Subject) -> Diagnosis:
    """Ask every check."""
    found = Diagnosis(measured=subject.measured)
    for check in CHECKS:
        question = check.__doc__.splitlines()[0]
        try:
            findings = list(check(subject))
        except NotCheckedError as error:
            found.not_checked[question] = f'it needs {error}'
            continue
        except Exception as error:  # one question less, not none
            lack = f'ended with {said(error)}'
            if subject.failure and isinstance(error, IndexError):  # there is no batch
                lack = 'needs a training step that runs'
            found.not_checked[question] = f'it {lack}'
            continue
        found.findings += findings
        if not findings:
            found.passed.append(question)
    return found


def diagnose_run(
    name: str,
    checkpoint: Optional[str] = None,
    plain: Optional[Path] = None,
    options: Optional[dict] = None,
    num_images: Optional[int] = None,
    num_batches: int = 4,
    with_pictures: bool = False,
) -> Diagnosis:
    """Diagnose a recipe before its training, or a run of one.

    Args:
        name: the recipe's config, or the work dir of the run.
        checkpoint: of its training; None: as it begins, of a run its best or last one.
        plain: work dir of the plain student.
        options: settings of the config, as ``--cfg-options`` has them.
        num_images: validation images on which the networks are scored, see :class:`Subject`.
        num_batches: training batches on which maps and gradients are measured.
        with_pictures: paint where TaT looks, too.

    Raises:
        FileNotFoundError, ValueError: whatever is not there or does not fit.
    """
    check_counts(num_images=num_images, num_batches=num_batches)
    run = plain_run = plain_model = None
    if Path(name).is_dir():
        summary = summarize(read_run(Path(name)))
        run, checkpoint = summary.run, checkpoint or summary.require_checkpoint()
        cfg = _config_of(summary, options)
    else:
        cfg = read_config(name, options or {})
    if plain is not None:
        of_plain = summarize(read_run(plain))
        plain_run, plain_cfg = of_plain.run, _config_of(of_plain)
        if is_recipe(plain_cfg):
            raise ValueError(
                f'--plain {plain}: a distillation was trained there, not the student without it'
            )
        plain_model = trained_model(plain_cfg, of_plain.require_checkpoint())
    subject = Subject(cfg, checkpoint, plain_model, run, plain_run, num_images, num_batches)
    found = diagnose(subject)
    if with_pictures:
        found.pictures = pictures(subject)
    return found


def _config_of(summary: RunSummary, options: Optional[dict] = None) -> Config:
    if summary.config is None:
        raise FileNotFoundError(f'{summary.run.folder} holds no config that can be read')
    return read_config(str(summary.config), options or {})


def pictures(subject: Subject, count: int = 3) -> dict[str, str]:
    """Data URIs by title; none of a classification."""
    if is_classifier(subject.cfg) or not subject.val_batches:
        return {}
    model, found = subject.model, {}
    with contextlib.suppress(ValueError):  # a teacher of other classes, or labels of another size
        network = Network('teacher', 'student', model.teacher_val_step)
        shown = compare(subject.cfg, [network], count, subject.num_images)
        size = len(shown.samples)
        figure, axes = plt.subplots(size, 3, figsize=(7, 2.3 * size), layout='constrained')
        for row, sample in zip(axes.reshape(size, 3), shown.samples):
            maps = [paint_label(x, shown.palette) for x in (sample.label, sample.predictions[0])]
            titles = sample.name, 'label', f'teacher, {sample.miou[0]:.1f} mIoU'
            for axis, picture, title in zip(row, (sample.image, *maps), titles):
                axis.imshow(picture, interpolation='nearest')
                axis.set_title(title, fontsize=9, parse_math=False)
                axis.set_axis_off()
        title = f"The teacher's predictions, the worst of the first {subject.num_images} images"
        found[title] = figure_uri(figure)
    with contextlib.suppress(ValueError):  # no TaT loss
        path = subject.val_batches[0]['data_samples'][0].img_path
        state = attention_of_image(model, subject.cfg, path, split='val')
        found['Where TaT looks'] = figure_uri(attention_figure({'now': state}))
    return found
