_base_ = ['./pair.py', '../../_base_/methods/kd.py']
model = _base_.pop('method')
