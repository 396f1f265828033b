_base_ = ['./pair.py', '../../_base_/methods/fitnet.py']
model = _base_.pop('method')
