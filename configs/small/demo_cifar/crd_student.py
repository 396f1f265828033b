_base_ = ['./pair.py', '../../_base_/classification/methods/crd.py']
# Of 20,000 images.
_base_.method.distiller.distill_losses.loss_crd.update(num_samples=20000, num_negatives=1024)
model = _base_.pop('method')
