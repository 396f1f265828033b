_base_ = ['./pair.py', '../_base_/classification/methods/tat_kl.py']
model = _base_.pop('method')
