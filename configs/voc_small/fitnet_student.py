_base_ = ['./pair.py', '../_base_/methods/fitnet.py']
model = dict(distiller=_base_.pop('method'))
