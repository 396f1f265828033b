from .algorithms import FrozenTeacherDistill
from .connectors import TaTConnector
from .distillers import SharedConnectorDistiller
from .losses import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss

__all__ = [
    'AnchorPointTaTLoss',
    'FrozenTeacherDistill',
    'PatchGroupTaTLoss',
    'SharedConnectorDistiller',
    'TaTConnector',
    'TaTLoss',
]
