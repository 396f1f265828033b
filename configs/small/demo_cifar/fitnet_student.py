_base_ = ['./pair.py', '../../_base_/classification/methods/fitnet.py']
model = _base_.pop('method')
