_base_ = ['./pair.py', '../../_base_/classification/methods/crd.py']
# Of 25,000 images.
_base_.method.distiller.distill_losses.loss_crd.num_samples = 25000
model = _base_.pop('method')
