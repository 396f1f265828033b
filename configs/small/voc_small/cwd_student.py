_base_ = ['./pair.py', '../../_base_/methods/cwd.py']
model = _base_.pop('method')
