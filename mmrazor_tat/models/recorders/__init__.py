"""What is read of a network."""

from .pre_activation_recorder import PreActivationRecorder
from .token_map_recorder import TokenMapRecorder

__all__ = ['PreActivationRecorder', 'TokenMapRecorder']
