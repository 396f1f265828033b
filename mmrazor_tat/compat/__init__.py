"""MMRazor 1.0 and mmseg on current PyTorch, and checkpoints read as safe content."""

from .checkpoints import trust_checkpoints, weights_only
from .stack import apply, is_installed, silence_harmless_warnings, turn_off_inplace

__all__ = [
    'apply',
    'is_installed',
    'silence_harmless_warnings',
    'trust_checkpoints',
    'turn_off_inplace',
    'weights_only',
]
