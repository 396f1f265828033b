# A training on ImageNet, whatever the network: mmpretrain's data and augmentation, the schedule of
# TaT's authors.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs64.py',
    './schedules/imagenet_100e.py',
    './runtime.py',
]
data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
train_dataloader = dict(batch_size=256)
val_dataloader = dict(batch_size=256)
test_dataloader = dict(batch_size=256)
