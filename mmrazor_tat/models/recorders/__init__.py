from .pre_activation_recorder import PreActivationRecorder

__all__ = ['PreActivationRecorder']
