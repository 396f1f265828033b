"""Official archives made into the folders that mmseg's configs expect, and checks of those."""

from .own_folders import read_own_folders

__all__ = ['read_own_folders']
