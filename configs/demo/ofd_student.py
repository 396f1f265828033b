_base_ = ['./pair.py', '../_base_/methods/ofd.py']
model = dict(distiller=_base_.pop('method'))
