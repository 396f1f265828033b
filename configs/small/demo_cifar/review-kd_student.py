_base_ = ['./pair.py', '../../_base_/classification/methods/review_kd.py']
model = _base_.pop('method')
