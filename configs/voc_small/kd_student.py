_base_ = ['./pair.py', '../_base_/methods/kd.py']
model = dict(distiller=_base_.pop('method'))
