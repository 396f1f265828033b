from .tat_loss import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss

__all__ = ['AnchorPointTaTLoss', 'PatchGroupTaTLoss', 'TaTLoss']
