"""A sample that cannot be used is named by its files, wherever it is read."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
from mmengine.dataset import Compose

from ...utils.errors import UserError, one_line, said

_SHOWN = 5  # label ids
_KNOWN = {'mmcv', 'mmseg', 'mmrazor_tat'}


class BadSampleError(UserError):
    """An image or label of a data set that cannot be used; the text, one line, names the file."""


class CheckedPipeline(Compose):
    """The transforms of a data set, with errors that name the files of the sample.

    Labels of mmseg's ``LoadAnnotations`` are checked as they were loaded: a map (H, W) of the image
    file's own size (``ori_shape``; a test pipeline has resized the image by then), of ids below
    ``num_classes`` (None: any) or among ``ignored``. Otherwise the cross entropy would end a GPU's
    training without naming a file, a label of another size would be cropped at other places than
    the image, and a validation would leave strange ids out in silence. ``refused``: ids that a loss
    cannot take, with its words; where ``num_classes`` is one labels are looked at again after all
    transforms.
    """

    def __init__(
        self,
        pipeline: Compose,
        num_classes: Optional[int] = None,
        ignored: Sequence[int] = (255,),
        refused: Optional[Mapping[int, str]] = None,
    ) -> None:
        self.transforms = pipeline.transforms
        self.num_classes = num_classes
        self.refused = dict(refused or {})
        # Then any id beyond the classes ends in an index out of bounds, also one that a transform
        # writes, e.g. into the corners of a rotated label.
        self._is_strict = self.refused.pop(num_classes, None) is not None
        self.ignored = [index for index in ignored if index not in self.refused]
        # One of the user's own may map ids or colours, and give image and label any size.
        modules = {type(transform).__module__.split('.')[0] for transform in self.transforms}
        self._has_own = not modules <= _KNOWN

    def __call__(self, data: dict) -> Optional[dict]:
        """Raises BadSampleError for a transform that fails, or a label that does not fit."""
        paths = data if isinstance(data, dict) else {}  # a data set of one's own may give any input
        image, label = paths.get('img_path'), paths.get('seg_map_path')
        for transform in self.transforms:
            loads_label = type(transform).__name__ == 'LoadAnnotations'
            try:
                data = transform(data)
            except BadSampleError:
                raise
            except Exception as error:
                path = (label if loads_label else None) or image
                words = re.sub(r'<\S+ object at \w+>', 'it', said(error).replace(str(path), 'it'))
                raise BadSampleError(
                    f'{"label" if loads_label else "image"} {path!r} cannot be used: '
                    f'{type(transform).__name__}: {one_line(words, 250)}'
                ) from error
            if data is None:
                return None
            if loads_label and not self._has_own and 'gt_seg_map' in data:
                self._check_size(data, image, label)
                self._check_ids(data['gt_seg_map'], label)
        if self._is_strict and isinstance(data, dict):
            packed = getattr(data.get('data_samples'), 'gt_sem_seg', None)
            if packed is not None:
                self._check_ids(np.asarray(packed.data), f'{label} after its transforms')
        return data

    @staticmethod
    def _check_size(data: dict, image: Any, path: Any) -> None:
        label, size = data['gt_seg_map'], data.get('ori_shape')
        if label.ndim != 2:
            raise BadSampleError(
                f'label {path!r} has shape {tuple(label.shape)}: a map (height, width) of class '
                'ids is needed, not colours; convert it, e.g. with tools/prepare_data.py'
            )
        if size is not None and tuple(label.shape) != tuple(size[:2]):
            raise BadSampleError(
                f'label {path!r} is {label.shape[0]} x {label.shape[1]} pixels, its image '
                f'{image!r} is {size[0]} x {size[1]}: both must have one size'
            )

    def _check_ids(self, label: np.ndarray, path: Any) -> None:
        if self.num_classes is None:
            return
        wrong = label[(label >= self.num_classes) & ~np.isin(label, self.ignored)]
        if not wrong.size:
            return
        for index, words in self.refused.items():
            if count := int((label == index).sum()):
                raise BadSampleError(
                    f'label {path!r} has the id {index} in {count} pixels: {words}'
                )
        ids = np.unique(wrong)
        more = ', ...' if len(ids) > _SHOWN else ''
        raise BadSampleError(
            f'label {path!r} has the ids {", ".join(map(str, ids[:_SHOWN]))}{more} in '
            f'{wrong.size} pixels: the data set has {self.num_classes} classes, so ids from 0 '
            f'to {self.num_classes - 1}, and {", ".join(map(str, self.ignored))} for pixels '
            "that are ignored (the data set's ignore_index)"
        )
