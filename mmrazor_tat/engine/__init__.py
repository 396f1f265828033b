from . import hooks
from .crop_size import set_crop_size
from .data_root import set_data_root

__all__ = ['hooks', 'set_crop_size', 'set_data_root']
