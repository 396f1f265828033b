_base_ = ['./pair.py', '../../_base_/methods/ickd.py']
_base_.method.distiller.distill_losses.loss_ickd.grid = (2, 2)  # the map is 16 x 16
model = _base_.pop('method')
