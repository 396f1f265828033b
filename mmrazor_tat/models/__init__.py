"""What is registered for a network, and what it leans on."""

from .algorithms import FrozenTeacherDistill
from .backbones import CIFARVGG, CIFARResNet
from .connectors import MarginReLUConnector, ReviewKDConnector, TaTConnector
from .distillers import SharedConnectorDistiller
from .losses import (
    AFDLoss,
    AnchorPointTaTLoss,
    CCLoss,
    ContrastiveDistillLoss,
    FSPLoss,
    HierarchicalTaTLoss,
    ICKDLoss,
    NSTLoss,
    PatchGroupTaTLoss,
    PixelWiseKDLoss,
    PKTLoss,
    ReviewKDLoss,
    RKDLoss,
    ScaledOFDLoss,
    SCKDLoss,
    SPLoss,
    TaTLoss,
)
from .recorders import PreActivationRecorder, TokenMapRecorder

__all__ = [
    'AFDLoss',
    'AnchorPointTaTLoss',
    'CCLoss',
    'CIFARResNet',
    'CIFARVGG',
    'ContrastiveDistillLoss',
    'FSPLoss',
    'FrozenTeacherDistill',
    'HierarchicalTaTLoss',
    'ICKDLoss',
    'MarginReLUConnector',
    'NSTLoss',
    'PKTLoss',
    'PatchGroupTaTLoss',
    'PixelWiseKDLoss',
    'PreActivationRecorder',
    'ReviewKDConnector',
    'ReviewKDLoss',
    'RKDLoss',
    'SCKDLoss',
    'SPLoss',
    'ScaledOFDLoss',
    'SharedConnectorDistiller',
    'TaTConnector',
    'TaTLoss',
    'TokenMapRecorder',
]
