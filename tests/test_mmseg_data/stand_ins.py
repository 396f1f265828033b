"""Stands in for packages that mmseg's remote sensing and DSDL data sets read their files with.

A derived config imports it (``custom_imports``): the data sets and transforms are mmseg's own.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from mmseg.datasets import CityscapesDataset, dsdl
from mmseg.datasets.transforms import loading
from PIL import Image

# Cityscapes' as in mmseg's DSDL config, and one that it does not use.
CLASSES = [name.replace(' ', '_') for name in CityscapesDataset.METAINFO['classes']] + ['ground']


class Gdal:
    """Of osgeo: ``Open`` gives channels first."""

    @staticmethod
    def Open(path: str) -> SimpleNamespace:  # noqa: N802
        pixels = np.asarray(Image.open(path)).transpose(2, 0, 1)
        return SimpleNamespace(ReadAsArray=lambda: pixels)


class DSDLDataset:
    """Of dsdl: pairs of image and label, from a list of their paths."""

    def __init__(self, dsdl_yaml: str, **settings) -> None:
        paths = Path(dsdl_yaml).read_text().split()
        files = [SimpleNamespace(location=path) for path in paths]
        self.samples = [
            dict(Image=[image], LabelMap=[label]) for image, label in zip(files[::2], files[1::2])
        ]
        self.class_names = CLASSES

    def __iter__(self):
        return iter(self.samples)


if loading.gdal is None:
    loading.gdal = Gdal
if dsdl.DSDLDataset is None:
    dsdl.DSDLDataset = DSDLDataset
