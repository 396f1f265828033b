"""The attention of a trained network beside that of an earlier state of it."""

from collections.abc import Sequence
from typing import Optional

from mmengine import Config

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
    """The attention on some images (paths), before and after a training.

    Args:
        cfg: of a distillation recipe with a TaT loss, with its ``teacher_ckpt``.
        points: (x, y) in pixels of the image files, the same for all images. None: ``count`` are
            chosen in each, see :func:`.target_points.choose_points`.
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
    meta, notes = read_checkpoint(checkpoint).get('meta', {}), []
    model = trained_model(cfg, checkpoint, with_teacher=is_recipe(cfg))
    require_tat_loss(model)
    states, label = {}, _label(meta, 'after')
    if before == START:
        try:
            states['before'] = untrained_model(cfg, seed_of(cfg, meta))
        except NoInitialWeightsError as error:
            notes.append(f'no "before": {error}')
    elif before is not None:
        name = _label(read_checkpoint(before).get('meta', {}), 'before')
        states[name] = trained_model(cfg, before, with_teacher=True)
    states['after' if label in states else label] = model  # two trainings of one length
    found = [
        {name: attention_of_image(of, cfg, image, points, count) for name, of in states.items()}
        for image in images
    ]
    return found, notes


def _label(meta: dict, otherwise: str) -> str:
    iterations = meta.get('iter')
    return f'after {iterations:,} iterations' if iterations else otherwise
