_base_ = ['./pair.py', '../../_base_/classification/methods/ickd.py']
model = _base_.pop('method')
