_base_ = ['./pair.py', '../../_base_/classification/methods/fsp.py']
# Of the iterations the same part as of the epochs on CIFAR-100.
_base_.method_hooks.loss_schedule.schedules.loss_fsp.stop = 188
model = _base_.pop('method')
default_hooks = _base_.pop('method_hooks')
