from .squash_to_size import SquashToSize

__all__ = ['SquashToSize']
