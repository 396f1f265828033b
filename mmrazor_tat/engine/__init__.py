"""Hooks, and what makes one run safe."""

from ..utils.config_settings import set_crop_size, set_data_root
from . import hooks

__all__ = ['hooks', 'set_crop_size', 'set_data_root']
