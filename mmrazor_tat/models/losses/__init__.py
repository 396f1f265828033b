from .afd_loss import AFDLoss
from .cc_loss import CCLoss
from .fsp_loss import FSPLoss
from .hierarchical_tat_loss import HierarchicalTaTLoss
from .ickd_loss import ICKDLoss
from .nst_loss import NSTLoss
from .pixel_wise_kd_loss import PixelWiseKDLoss
from .pkt_loss import PKTLoss
from .review_kd_loss import ReviewKDLoss
from .sp_loss import SPLoss
from .tat_loss import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss

__all__ = [
    'AFDLoss',
    'AnchorPointTaTLoss',
    'CCLoss',
    'FSPLoss',
    'HierarchicalTaTLoss',
    'ICKDLoss',
    'NSTLoss',
    'PKTLoss',
    'PatchGroupTaTLoss',
    'PixelWiseKDLoss',
    'ReviewKDLoss',
    'SPLoss',
    'TaTLoss',
]
