from .algorithms import FrozenTeacherDistill
from .connectors import TaTConnector
from .distillers import SharedConnectorDistiller
from .losses import AnchorPointTaTLoss, HierarchicalTaTLoss, PatchGroupTaTLoss, TaTLoss

__all__ = [
    'AnchorPointTaTLoss',
    'FrozenTeacherDistill',
    'HierarchicalTaTLoss',
    'PatchGroupTaTLoss',
    'SharedConnectorDistiller',
    'TaTConnector',
    'TaTLoss',
]
