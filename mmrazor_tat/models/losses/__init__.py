"""Distillation losses, one method a file."""

from .afd_loss import AFDLoss
from .cc_loss import CCLoss
from .contrastive_distill_loss import ContrastiveDistillLoss
from .fsp_loss import FSPLoss
from .hierarchical_tat_loss import HierarchicalTaTLoss
from .ickd_loss import ICKDLoss
from .nst_loss import NSTLoss
from .pixel_wise_kd_loss import PixelWiseKDLoss
from .pkt_loss import PKTLoss
from .review_kd_loss import ReviewKDLoss
from .rkd_loss import RKDLoss
from .scaled_ofd_loss import ScaledOFDLoss
from .sckd_loss import SCKDLoss
from .sp_loss import SPLoss
from .tat_loss import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss

__all__ = [
    'AFDLoss',
    'AnchorPointTaTLoss',
    'CCLoss',
    'ContrastiveDistillLoss',
    'FSPLoss',
    'HierarchicalTaTLoss',
    'ICKDLoss',
    'NSTLoss',
    'PKTLoss',
    'PatchGroupTaTLoss',
    'PixelWiseKDLoss',
    'ReviewKDLoss',
    'RKDLoss',
    'SCKDLoss',
    'SPLoss',
    'ScaledOFDLoss',
    'TaTLoss',
]
