_base_ = ['./pair.py', '../../_base_/classification/methods/nst.py']
model = _base_.pop('method')
