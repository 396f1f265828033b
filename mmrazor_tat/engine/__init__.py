from .crop_size import set_crop_size

__all__ = ['set_crop_size']
