from .hierarchical_tat_loss import HierarchicalTaTLoss
from .tat_loss import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss

__all__ = ['AnchorPointTaTLoss', 'HierarchicalTaTLoss', 'PatchGroupTaTLoss', 'TaTLoss']
