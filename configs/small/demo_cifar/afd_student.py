_base_ = ['./pair.py', '../../_base_/classification/methods/afd.py']
model = _base_.pop('method')
