# A small ResNet-8 on drawn images of 20 classes (mmrazor_tat/datasets/toy_cifar.py).
_base_ = '../../_base_/classification/image_folders.py'
data_root = 'data/toy_cifar'
data_preprocessor = dict(num_classes=20, mean=[128.1, 126.6, 127.5], std=[61.2, 61.3, 61.0])
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(type='mmrazor.CIFARResNet', depth=8, widths=(8, 8, 16, 32)),
    head=dict(num_classes=20, in_channels=32))
# Cropped, an object may lose what tells its class.
_flip = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=_flip))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, begin=0, end=450, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=1050, begin=450, end=1500, by_epoch=False),
]
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=1500, val_interval=500)
default_hooks = dict(
    logger=dict(interval=25, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=500))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
del _flip
