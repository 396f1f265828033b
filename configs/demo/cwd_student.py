_base_ = ['./pair.py', '../_base_/methods/cwd.py']
model = dict(distiller=_base_.pop('method'))
