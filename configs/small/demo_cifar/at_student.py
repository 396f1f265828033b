_base_ = ['./pair.py', '../../_base_/classification/methods/at.py']
model = _base_.pop('method')
