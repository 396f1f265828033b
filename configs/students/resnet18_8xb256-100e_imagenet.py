_base_ = ['mmpretrain::_base_/models/resnet18.py', '../_base_/classification/imagenet.py']
model = dict(data_preprocessor=_base_.data_preprocessor)
