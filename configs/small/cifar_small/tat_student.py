_base_ = ['./pair.py', '../../_base_/classification/methods/tat.py']
model = _base_.pop('method')
