from .hierarchical_tat_loss import HierarchicalTaTLoss
from .ickd_loss import ICKDLoss
from .pixel_wise_kd_loss import PixelWiseKDLoss
from .review_kd_loss import ReviewKDLoss
from .tat_loss import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss

__all__ = [
    'AnchorPointTaTLoss',
    'HierarchicalTaTLoss',
    'ICKDLoss',
    'PatchGroupTaTLoss',
    'PixelWiseKDLoss',
    'ReviewKDLoss',
    'TaTLoss',
]
