_base_ = ['./pair.py', '../../_base_/classification/methods/rkd.py']
model = _base_.pop('method')
