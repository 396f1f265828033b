from .cifar_archive import CIFARArchive
from .squash_to_size import SquashToSize

__all__ = ['CIFARArchive', 'SquashToSize']
