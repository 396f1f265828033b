_base_ = [
    './tat-kl_resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/tat_paper.py',
]
model = _base_.pop('method')
