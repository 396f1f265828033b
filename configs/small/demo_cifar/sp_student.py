_base_ = ['./pair.py', '../../_base_/classification/methods/sp.py']
model = _base_.pop('method')
