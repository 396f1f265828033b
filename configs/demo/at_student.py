_base_ = ['./pair.py', '../_base_/methods/at.py']
model = dict(distiller=_base_.pop('method'))
