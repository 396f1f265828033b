_base_ = [
    '../kd/kd_resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/cc.py',
]
model = _base_.pop('method')
