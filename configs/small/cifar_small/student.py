# A ResNet-8 on photographs of 32 x 32 in folders, ROOT/train/CLASS and ROOT/test/CLASS: 50 of
# CIFAR-100's classes.
_base_ = '../../_base_/classification/image_folders.py'
data_root = 'data/cifar_small'
data_preprocessor = dict(num_classes=50)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(type='mmrazor.CIFARResNet', depth=8),
    head=dict(num_classes=50, in_channels=64))
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, begin=0, end=400, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=3600, begin=400, end=4000, by_epoch=False),
]
optim_wrapper = dict(optimizer=dict(lr=0.1))
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=4000, val_interval=1000)
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
