# The training of TaT's authors (their released segmentation code): 100 epochs, SGD with Nesterov,
# cosine to 0 without warm-up, ASPP and decoder at 10x the learning rate, projections at 1x, crop
# 513. Evaluation after every epoch, both mmseg's way (mIoU) and theirs, with image and label
# squashed to 513 x 513 (squashed/mIoU); the checkpoint with the best mIoU is kept. Not taken over:
# their Gaussian blur of every other image.
_base_ = ['mmseg::_base_/default_runtime.py', '../runtime.py']

_crop = (513, 513)
paper_train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(4096, 513), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=_crop),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.007, momentum=0.9, weight_decay=5e-4, nesterov=True),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.))))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=100, eta_min=0., by_epoch=True, convert_to_iter_based=True)
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='mIoU'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
    squashed_evaluation=dict(
        _scope_='mmrazor',
        type='SecondEvaluationHook',
        prefix='squashed',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='SquashToSize', scale=_crop),
            dict(type='PackSegInputs'),
        ]),
    **_base_.pop('guards'))
log_processor = dict(by_epoch=True)
auto_scale_lr = dict(enable=False, base_batch_size=16)
del _crop
