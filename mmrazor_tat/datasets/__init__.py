"""Registered data sets and transforms; drawn scenes and drawn CIFAR."""

from .cifar_archive import CIFARArchive
from .squash_to_size import SquashToSize

__all__ = ['CIFARArchive', 'SquashToSize']
