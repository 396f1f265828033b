"""The attention of a trained network beside that of an earlier state of it."""

from collections.abc import Sequence
from typing import Optional

from mmengine import Config
from torch import nn

from ...compat.checkpoints import read_checkpoint
from ...utils.configs import is_recipe, require_segmentation
from ...utils.networks import NoInitialWeightsError, seed_of, trained_model, untrained_model
from .image import ImageAttention, attention_of_image, read_image
from .maps import require_tat_loss

START = 'start'


def compare_attention(
    cfg: Config,
    checkpoint: str,
    images: Sequence[str],
    points: Optional[Sequence[tuple[float, float]]] = None,
    count: int = 3,
    before: Optional[str] = START,
) -> tuple[list[dict[str, ImageAttention]], list[str]]:
    """The attention on some images, before and after a training.

    Args:
        cfg: of a distillation recipe with a TaT loss, with its ``teacher_ckpt``.
        checkpoint: of its training.
        images: paths.
        points: (x, y) in pixels of the image files, the same for all images. None: chosen in each
            by the teacher's map, see :func:`.target_points.choose_points`.
        count: how many, if they are chosen.
        before: what to compare with: :data:`START`, the network as its training began, drawn anew
            with the checkpoint's seed; an earlier checkpoint; or None.

    Returns:
        For each image the states by what to write above them, the earlier one first; and notes:
        what could not be done.

    Raises:
        FileNotFoundError, ValueError: whatever does not fit, before any network runs.
    """
    require_segmentation(cfg, 'attention pictures')
    for image in images:
        read_image(image, points)
    content = read_checkpoint(checkpoint)
    meta, notes = content.get('meta', {}), []
    del content
    model = trained_model(cfg, checkpoint, with_teacher=is_recipe(cfg))
    require_tat_loss(model)
    earlier, label = None, 'before'
    if before == START:
        earlier, note = _as_it_began(cfg, seed_of(cfg, meta))
        notes += [note] if note else []
    elif before is not None:
        label = _label(read_checkpoint(before).get('meta', {}), 'before')
        earlier = trained_model(cfg, before, with_teacher=True)

    states = []
    for image in images:
        found = {}
        if earlier is not None:
            found[label] = attention_of_image(earlier, cfg, image, points, count)
        after = _label(meta, 'after')
        if after in found:  # two trainings of one length
            after = 'after'
        found[after] = attention_of_image(model, cfg, image, points, count)
        states.append(found)
    return states, notes


def _as_it_began(cfg: Config, seed: Optional[int]) -> tuple[Optional[nn.Module], Optional[str]]:
    """The model, or why there is none."""
    if seed is None:
        return None, 'no "before": neither the checkpoint nor the config has the seed of the run'
    try:
        return untrained_model(cfg, seed), None
    except NoInitialWeightsError as error:
        return None, f'no "before": {error}'


def _label(meta: dict, otherwise: str) -> str:
    iterations = meta.get('iter')
    return f'after {iterations:,} iterations' if iterations else otherwise
