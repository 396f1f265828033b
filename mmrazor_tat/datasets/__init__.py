"""Registered data sets and transforms; drawn scenes and drawn CIFAR."""

from .squash_to_size import SquashToSize

__all__ = ['SquashToSize']
