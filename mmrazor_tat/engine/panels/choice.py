"""Which images are shown: the best and the worst."""

from collections.abc import Sequence

import numpy as np

from .networks import PLAIN, STUDENT, TEACHER
from .scores import NetworkScores


def differences(scores: Sequence[NetworkScores]) -> np.ndarray:
    """(N,) by what the images are sorted, in points of mIoU.

    The student's mIoU less the plain student's (its gain); without a plain student less the
    teacher's (its deficit, negative where the student is behind); alone the student's mIoU itself.
    """
    by_role = {s.role: s for s in scores}
    other = by_role.get(PLAIN) or by_role.get(TEACHER)
    own = by_role[STUDENT].image_miou
    return own - other.image_miou if other else own


def choose(scores: Sequence[NetworkScores], count: int) -> list[tuple[str, list[int]]]:
    """The images to show.

    Args:
        scores: of networks of different roles, one the 'student'.
        count: images altogether; half of them (rounded up) for the first title. No image twice.

    Returns:
        (title, indices of images) each. With a plain student the largest gains first, then the
        smallest (the worst of all first); else the largest deficits to the teacher (or the lowest
        mIoU), then the smallest. A title without images is left out. Ties: the earlier image.
        Images that are ignored altogether are never shown.
    """
    by_role = {s.role: s for s in scores}
    values = differences(scores)
    order = np.argsort(values, kind='stable')
    ascending = [int(i) for i in order if not np.isnan(values[i])]
    descending = [int(i) for i in np.argsort(-values, kind='stable') if not np.isnan(values[i])]
    student = by_role[STUDENT].name
    if PLAIN in by_role:
        plain = by_role[PLAIN].name
        titles = f'Best gains: {student} over {plain}', f'Worst gains: {student} over {plain}'
        first, second = descending, ascending
    else:
        first, second = ascending, descending
        titles = f'Lowest mIoU of the {student}', f'Highest mIoU of the {student}'
        if TEACHER in by_role:
            teacher = by_role[TEACHER].name
            titles = tuple(
                f'{size} deficit of the {student} to the {teacher}'
                for size in ('Largest', 'Smallest')
            )
    count = min(count, len(ascending))
    half = (count + 1) // 2
    shown = first[:half]
    rest = [i for i in second if i not in shown][: count - half]
    return [(title, part) for title, part in zip(titles, (shown, rest)) if part]
