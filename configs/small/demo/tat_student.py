_base_ = ['./pair.py', '../../_base_/methods/tat.py']
# The map is 16 x 16: 4 x 4 patches of 4 x 4, four to a group, and 8 x 8 anchor points.
_base_.method.distiller.distill_losses.loss_tat.views = [
    dict(type='patch', grid=(4, 4), groups=4, weight=0.1),
    dict(type='anchor', kernel=2, weight=0.04)]
model = _base_.pop('method')
