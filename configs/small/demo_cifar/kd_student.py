_base_ = ['./pair.py', '../../_base_/classification/methods/kd.py']
model = _base_.pop('method')
