_base_ = ['./pair.py', '../../_base_/methods/at.py']
model = _base_.pop('method')
