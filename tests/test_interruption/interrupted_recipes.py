"""Small recipes, each of which keeps other state."""

ITERATIONS = 12

_SGD = dict(_delete_=True, type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4, nesterov=True)
_COSINE = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=4),
    dict(type='CosineAnnealingLR', T_max=8, by_epoch=False, begin=4, end=12),
]

# By name: the config, and its settings over those of all.
RECIPES = {
    'tat': ('small/demo/tat_student.py', {}),
    'two workers, no seed': (
        'small/demo/tat_student.py',
        {
            'randomness.seed': None,
            'train_dataloader.num_workers': 2,
            'train_dataloader.persistent_workers': True,
        },
    ),
    'kr, sgd, loss schedule, moving average': (
        'small/demo/review-kd_student.py',
        {
            'optim_wrapper.optimizer': _SGD,
            'param_scheduler': _COSINE,
            'default_hooks.loss_schedule': dict(
                type='mmrazor.LossScheduleHook', schedules=dict(loss_review=dict(warmup=8))
            ),
            'custom_hooks': [dict(type='EMAHook', momentum=0.3)],
        },
    ),
    'epochs': (
        'small/demo/tat_student.py',
        {
            'train_dataloader.sampler.type': 'DefaultSampler',
            'train_cfg': dict(
                _delete_=True, type='EpochBasedTrainLoop', max_epochs=4, val_interval=2
            ),
            'param_scheduler': [dict(type='MultiStepLR', milestones=[2, 3], by_epoch=True)],
            'default_hooks.checkpoint': dict(by_epoch=True, interval=1),
            'log_processor.by_epoch': True,
        },
    ),
    'passes over the data': (
        'small/demo/fitnet_student.py',
        {'train_dataloader.sampler.type': 'DefaultSampler'},
    ),
}


def settings_of_all(data_root, teacher) -> dict:
    """Beside which a recipe sets its own."""
    settings = {}
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        own = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=str(data_root)))
        settings[loader] = own
    return {
        **settings,
        'model.teacher_ckpt': str(teacher),
        'train_dataloader.batch_size': 4,
        'train_cfg.max_iters': ITERATIONS,
        'train_cfg.val_interval': 4,
        'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint': dict(interval=2, max_keep_ckpts=1, save_best='mIoU'),
        'default_hooks.student_checkpoint': dict(
            type='mmrazor.StudentCheckpointHook', interval=4, save_best='mIoU'
        ),
        'visualizer.vis_backends': [dict(type='LocalVisBackend')],
    }
