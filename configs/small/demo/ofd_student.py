_base_ = ['./pair.py', '../../_base_/methods/ofd.py']
model = _base_.pop('method')
