_base_ = [
    '../_base_/classification/pairs/resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/review_kd_imagenet.py',
]
model = _base_.pop('method')
