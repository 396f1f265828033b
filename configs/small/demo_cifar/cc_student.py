_base_ = ['./pair.py', '../../_base_/classification/methods/cc.py']
model = _base_.pop('method')
