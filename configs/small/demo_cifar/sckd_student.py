_base_ = ['./pair.py', '../../_base_/classification/methods/sckd.py']
model = _base_.pop('method')
