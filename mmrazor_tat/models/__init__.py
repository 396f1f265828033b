from .algorithms import FrozenTeacherDistill
from .connectors import MarginReLUConnector, ReviewKDConnector, TaTConnector
from .distillers import SharedConnectorDistiller
from .losses import (
    AnchorPointTaTLoss,
    HierarchicalTaTLoss,
    ICKDLoss,
    PatchGroupTaTLoss,
    PixelWiseKDLoss,
    ReviewKDLoss,
    TaTLoss,
)
from .recorders import PreActivationRecorder, TokenMapRecorder

__all__ = [
    'AnchorPointTaTLoss',
    'FrozenTeacherDistill',
    'HierarchicalTaTLoss',
    'ICKDLoss',
    'MarginReLUConnector',
    'PatchGroupTaTLoss',
    'PixelWiseKDLoss',
    'PreActivationRecorder',
    'ReviewKDConnector',
    'ReviewKDLoss',
    'SharedConnectorDistiller',
    'TaTConnector',
    'TaTLoss',
    'TokenMapRecorder',
]
