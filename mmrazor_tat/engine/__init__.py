from . import hooks
from .crop_size import set_crop_size

__all__ = ['hooks', 'set_crop_size']
