_base_ = ['./pair.py', '../_base_/methods/review_kd.py']
model = dict(distiller=_base_.pop('method'))
