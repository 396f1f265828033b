# A ResNet-8 on photographs of 32 x 32 in folders, ROOT/train/CLASS and ROOT/test/CLASS: 50 of
# CIFAR-100's classes.
_base_ = '../../_base_/classification/cifar100.py'
data_root = 'data/cifar_small'
data_preprocessor = dict(
    num_classes=50, to_rgb=True)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(type='mmrazor.CIFARResNet', depth=8),
    head=dict(num_classes=50, in_channels=64))
_load = dict(type='LoadImageFromFile')
_folder = dict(_delete_=True, type='CustomDataset', data_root=data_root)
train_dataloader = dict(
    num_workers=1,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        data_prefix='train',
        pipeline=[_load, *_base_.train_dataloader.dataset.pipeline],
        **_folder))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_prefix='test', pipeline=[_load, *_base_.val_dataloader.dataset.pipeline], **_folder))
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
del _load, _folder
