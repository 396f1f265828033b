"""CIFAR-100, or other data in its layout, from the archive or from the folder."""

from os import PathLike, fspath
from pathlib import Path
from typing import Optional, Union

from mmengine.dataset import BaseDataset
from mmrazor.registry import DATASETS

from ..utils.archives import DataError
from . import cifar_source
from .cifar_files import LABELS, out_of_range, parse_images, parse_names
from .cifar_image_folder import is_image_folder, read_image_folder
from .cifar_source import ARCHIVE, META, SPLITS


@DATASETS.register_module()
class CIFARArchive(BaseDataset):
    """Images of 32 x 32 in the python layout of CIFAR-100, read into memory; nothing is downloaded.

    In a config of any package it is ``type='mmrazor.CIFARArchive'``.

    A sample has ``img``, (32, 32, 3) uint8, ``gt_label``, an integer, and ``sample_idx``. The class
    names come from the file ``meta``.

    The channels are **R, G, B**, as the file has them and as mmpretrain's ``CIFAR100`` gives them:
    mmpretrain's configs of CIFAR, whose preprocessor has ``to_rgb=False`` and the mean of R, G, B,
    are right as they are. mmcv's own loader gives B, G, R: do not set ``to_rgb=True`` here.

    In mmpretrain's ``CIFAR100`` the data must be the published one and a missing one is downloaded;
    here it may be any in that layout, and the archive need not be extracted. A folder of images is
    read too: ``train/CLASS/*.png`` and ``test/CLASS/*.png`` of 32 x 32.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html. The layout: ``cifar-100-python/`` with the
    pickles ``train`` and ``test`` (``data``, (N, 3072) uint8, planes R, G, B; ``fine_labels``,
    ``coarse_labels``) and ``meta`` (``fine_label_names``, ``coarse_label_names``).

    Args:
        data_root: ``cifar-100-python/``, an archive of it (``cifar-100-python.tar.gz``, any .tar),
            the folder that holds one of them, or a folder of images.
        split: 'train' or 'test'.
        labels: 'fine' (100 classes in CIFAR-100) or 'coarse' (20), which a folder of images has
            not.
        check_md5: read only CIFAR-100 as published, in the python layout.
        **kwargs: of mmengine's ``BaseDataset``, e.g. ``indices``, ``pipeline``, ``metainfo``.

    Raises:
        ValueError: ``data_root``, ``split`` or ``labels`` is none of these, or not to be had from
            a folder of images.
        FileNotFoundError: there is neither archive nor folder, or the folder lacks the split.
        DataError: (a ValueError) what is there is damaged, of another layout, would run code, or,
            with ``check_md5``, is not the published data.
    """

    def __init__(
        self,
        data_root: Union[str, PathLike],
        split: str = 'train',
        labels: str = 'fine',
        check_md5: bool = False,
        **kwargs,
    ) -> None:
        if not isinstance(data_root, (str, PathLike)) or not fspath(data_root):
            raise ValueError(f'data_root must be a path, got {data_root!r}')
        for name, value, fitting in (('split', split, SPLITS), ('labels', labels, LABELS)):
            if value not in fitting:
                raise ValueError(f'{name} must be one of {", ".join(fitting)}, got {value!r}')
        self.split = split
        self.labels = labels
        self.check_md5 = check_md5
        super().__init__(data_root=fspath(data_root), **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict with ``img`` and ``gt_label`` for each image of the split."""
        if is_image_folder(Path(self.data_root)):
            return self._from_image_folder()
        files = (self.split, META)
        source = cifar_source.find_source(self.data_root, files)
        if self.check_md5 and source.is_file():
            cifar_source.check_md5(source, ARCHIVE)
        contents = cifar_source.read_source(source, files)
        if self.check_md5 and source.is_dir():
            for file in files:
                cifar_source.check_md5(source / file, file, contents[file])
        # In an archive too a file is named by its path: .../cifar-100-python.tar.gz/train.
        names = parse_names(contents[META], source / META, [self.labels])[self.labels]
        split = parse_images(contents[self.split], source / self.split, [self.labels])
        labels = split.labels[self.labels]
        odd = out_of_range(labels, len(names))
        if odd:
            raise DataError(
                f'{source / self.split}: {self.labels}_labels must be 0 to {len(names) - 1} for '
                f'the {len(names)} names in {META}, got {", ".join(map(str, odd[:6]))}'
            )
        self._metainfo.setdefault('classes', tuple(names))
        return [dict(img=img, gt_label=label) for img, label in zip(split.images, labels)]

    def _from_image_folder(self) -> list[dict]:
        for name, value, fits in (
            ('labels', self.labels, 'fine'),
            ('check_md5', self.check_md5, False),
        ):
            if value != fits:
                raise ValueError(
                    f'{name}={value!r}: {self.data_root} is a folder of images, which has {name}='
                    f'{fits!r} only'
                )
        images, labels, names = read_image_folder(Path(self.data_root), self.split)
        self._metainfo.setdefault('classes', names)
        return [dict(img=img, gt_label=label) for img, label in zip(images, labels)]

    @property
    def CLASSES(self) -> Optional[tuple[str, ...]]:  # noqa: N802
        """The class names, by the name that mmpretrain's ``ClassNumCheckHook`` knows."""
        return self.metainfo.get('classes')

    def get_cat_ids(self, idx: int) -> list[int]:
        """The class of an image, for ``ClassBalancedDataset``."""
        return [self.get_data_info(idx)['gt_label']]
