"""A sample that cannot be used is named by its files, wherever it is read."""

import re
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
from mmengine.dataset import Compose

_SHOWN = 5  # label ids


class BadSampleError(ValueError):
    """An image or label of a data set that cannot be used; the text, one line, names the file."""


class CheckedPipeline(Compose):
    """The transforms of a data set, with errors that name the files of the sample.

    Labels are checked as they were loaded, before anything is cropped: a map (H, W) of the image's
    size, of class ids or the ignored one. Otherwise the cross entropy would end a GPU's training
    without naming a file, a label of another size would be cropped at other places than the
    image, and a validation would leave strange ids out in silence. It runs where the data is
    loaded, so in the workers of a data loader.

    Args:
        pipeline: a built pipeline, whose transforms are taken over.
        num_classes: ids go from 0 to ``num_classes`` - 1; None: they are not checked.
        ignored: ids of pixels that are not counted.
    """

    def __init__(
        self, pipeline: Compose, num_classes: Optional[int] = None, ignored: Sequence[int] = (255,)
    ) -> None:
        self.transforms = pipeline.transforms
        self.num_classes = num_classes
        self.ignored = list(ignored)
        # One of the user's own may map the ids that are in the files.
        modules = [type(transform).__module__.split('.')[0] for transform in self.transforms]
        if not {*modules} <= {'mmcv', 'mmseg', 'mmrazor_tat'}:
            self.num_classes = None

    def __call__(self, data: dict) -> Optional[dict]:
        """See mmengine's ``Compose``.

        Raises:
            BadSampleError: a transform that fails, or a label that does not fit.
        """
        image, label = data.get('img_path'), data.get('seg_map_path')
        is_checked = False
        for transform in self.transforms:
            try:
                data = transform(data)
            except BadSampleError:
                raise
            except Exception as error:
                what = 'label' if type(transform).__name__ == 'LoadAnnotations' else 'image'
                path = (label if what == 'label' else None) or image
                said = re.sub(r'<\S+ object at \w+>', 'it', str(error).replace(str(path), 'it'))
                raise BadSampleError(
                    f'{what} {path!r} cannot be used: {type(transform).__name__}: '
                    f'{type(error).__name__}: {" ".join(said.split())[:200]}'
                ) from error
            if data is None:
                return None
            if not is_checked and 'gt_seg_map' in data and 'img' in data:
                self._check_label(data, image, label)
                is_checked = True
        return data

    def _check_label(self, data: dict, image: Any, path: Any) -> None:
        label, size = data['gt_seg_map'], tuple(data['img'].shape[:2])
        if label.ndim != 2:
            raise BadSampleError(
                f'label {path!r} has shape {tuple(label.shape)}: a map (height, width) of class '
                'ids is needed, not colours; convert it, e.g. with tools/prepare_data.py'
            )
        if tuple(label.shape) != size:
            raise BadSampleError(
                f'label {path!r} is {label.shape[0]} x {label.shape[1]} pixels, its image '
                f'{image!r} is {size[0]} x {size[1]}: both must have one size'
            )
        if self.num_classes is None:
            return
        wrong = label[(label >= self.num_classes) & ~np.isin(label, self.ignored)]
        if wrong.size:
            ids = np.unique(wrong)
            more = ', ...' if len(ids) > _SHOWN else ''
            raise BadSampleError(
                f'label {path!r} has the ids {", ".join(map(str, ids[:_SHOWN]))}{more} in '
                f'{wrong.size} pixels: the data set has {self.num_classes} classes, so ids from 0 '
                f'to {self.num_classes - 1}, and {", ".join(map(str, self.ignored))} for pixels '
                "that are ignored (the data set's ignore_index)"
            )
