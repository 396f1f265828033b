"""Bad configs: the key that is changed, its value, and what the line must say.

A value ``DELETE`` takes the key away.
"""

DELETE = object()
NAN = float('nan')

_HEAD = 'model.decode_head'
_OPTIMIZER, _TRAIN = 'optim_wrapper.optimizer', 'train_dataloader'
_SOURCE = 'model.distiller.student_recorders.feature.source'
_LOSSES = 'model.distiller.distill_losses'
_TAT = f'{_LOSSES}.loss_tat'
_ALPHA = 'architecture.decode_head.loss_decode.loss_weight'
_KL = dict(type='KLDivergence', tau=4.0, loss_weight=0.9)
_BALANCE = dict(type='mmrazor.GradientBalanceHook')
_OF_NO_LOSS = dict(type='mmrazor.LossScheduleHook', schedules=dict(loss_kd=dict(warmup=3)))

# Of a plain network.
PLAIN = [
    ('model', DELETE, "'model'", 'needed'),
    ('model', [1], "'model'", '[1]'),
    ('model.type', 'EncodeDecoder', 'EncodeDecoder is not in the', 'nearest: EncoderDecoder'),
    ('model.backbone.type', 'ResNetV1x', 'model', 'nearest: ', 'V1c'),
    (f'{_HEAD}.type', 'ASPHead', 'model', 'nearest: ASPPHead'),
    ('model.backbone.depth', 19, 'model', 'invalid depth 19'),
    (f'{_HEAD}.in_channels', '64', 'model', 'MMRAZOR_TAT_TRACEBACK=1 shows where'),
    (f'{_HEAD}.num_classes', 5, 'num_classes is 5'),
    ('model.backbone.dept', 18, 'model.backbone.dept=18: TypeError: ', 'nearest: depth'),
    (f'{_HEAD}.loss_decode.loss_weight', NAN, 'model.decode_head.loss_decode.loss_weight', 'nan'),
    (f'{_HEAD}.loss_decode.loss_weight', None, 'loss_weight', 'None'),
    (f'{_OPTIMIZER}.lr', -0.1, 'optim_wrapper', 'lr', '-0.1'),
    (f'{_OPTIMIZER}.lr', NAN, 'optim_wrapper', 'nan'),
    (f'{_OPTIMIZER}.weight_decay', -1, 'weight_decay', '-1'),
    (_OPTIMIZER, 'AdamW', 'optim_wrapper', 'AdamW'),
    ('optim_wrapper', DELETE, 'optim_wrapper'),
    (f'{_TRAIN}.dataset.pipeline', [], 'pipeline of the', 'is empty'),
    ('train_cfg.max_iters', 0, 'train_cfg.max_iters', '0'),
    ('train_cfg.max_iters', 'ten', 'train_cfg', "'ten'"),
    ('train_cfg.max_iters', 1.5, 'max_iters', '1.5'),
    ('train_cfg.val_interval', 0, 'val_interval', '0'),
    ('param_scheduler.0.type', 'PolLR', 'param_scheduler', 'PolLR is not in', 'nearest: PolyLR'),
    ('param_scheduler.0.end', -1, 'end'),
    (f'{_TRAIN}.batch_size', 0, 'train_dataloader', 'batch_size=0'),
    (f'{_TRAIN}.num_workers', -1, 'train_dataloader', 'num_workers'),
    (f'{_TRAIN}.batchsize', 2, "'batchsize'", 'train_dataloader'),
    (_TRAIN, 'voc', 'train_cfg', 'AttributeError'),
    (f'{_TRAIN}.dataset.type', 'BaseSegDatset', 'train_dataloader', 'nearest: BaseSegDataset'),
    (f'{_TRAIN}.dataset.dataroot', 'x', "dataset.dataroot='x': ", 'nearest: data_root'),
    (f'{_TRAIN}.dataset.pipeline.3.type', 'RandomCrp', 'train_dataloader', 'nearest: RandomCrop'),
    (f'{_TRAIN}.dataset.pipeline.3.crop_size', (-4, 48), 'train_dataloader'),
    (f'{_TRAIN}.sampler.type', 'Infinite', 'train_dataloader', 'nearest: InfiniteSampler'),
    ('val_evaluator.type', 'IoUMetrics', 'evaluator', 'nearest: IoUMetric'),
    (f'{_TRAIN}.dataset.data_root', 5, 'train_dataloader'),
    ('custom_hooks', [dict(type='EMAHok')], 'custom_hooks', 'nearest: EMAHook'),
    ('default_hooks.chekpoint', dict(interval=3), 'default_hooks.chekpoint must have a type, got'),
    ('default_hooks.checkpoint.intervall', 3, 'checkpoint.intervall=3: T', 'nearest: interval'),
    ('visualizer.type', 'SegVisualiser', 'visualizer', 'SegLocalVisualizer'),
    ('randomness.seed', 'one', 'randomness'),
    ('load_from', 7, 'there is no file 7'),
    ('model.pretrained', 7, 'model', 'pretrained must be a str'),
]
# Of its distillation by TaT.
RECIPE = [
    ('model.type', 'FrozenTeacher', 'FrozenTeacherDistill'),
    (f'{_TAT}.type', 'TatLoss', 'model', 'TatLoss is not in', 'nearest: TaTLoss'),
    (f'{_TAT}.views.0.type', 'patches', "'patches'"),
    ('model.architecture.decode_head.in_channels', 65, '65'),
    ('model.teacher_ckp', 'x', "'teacher_ckp'", 'teacher_ckpt'),
    (f'{_TAT}.los_weight', 1.0, f'{_TAT}.los_weight=1.0: ', 'nearest: loss_weight'),
    (_SOURCE, 'decode_head.x', "'decode_head.x'", 'Nearest'),
    (_SOURCE, 3, '3'),
    ('model.teacher_mode', 'train', 'teacher_mode', "'train'"),
    (f'{_TAT}.views.0.grid', (5, 5), '5'),
    (f'{_TAT}.views.0.groups', 3, 'groups', '3'),
    (f'{_TAT}.views.1.kernel', 0, 'kernel', '0'),
    (f'{_TAT}.softmax_over', 'both', 'softmax_over', "'both'"),
    (f'{_TAT}.loss_weight', -0.1, 'loss_weight', '-0.1'),
    (f'{_TAT}.loss_weight', NAN, 'loss_weight', 'nan'),
    (f'{_TAT}.loss_weight', '1', 'loss_weight', "'1'"),
    (f'{_TAT}.views.0.weight', -1.0, 'weight', '-1.0'),
    (f'model.{_ALPHA}', -1.0, _ALPHA, '-1.0'),
    (f'{_LOSSES}.loss_kl', _KL | dict(loss_weight=-0.9), 'loss_kl.loss_weight', '-0.9'),
    (f'{_LOSSES}.loss_kl', _KL | dict(tau=0), 'loss_kl.tau', 'above 0'),
    ('custom_hooks', [_OF_NO_LOSS], "'loss_kd'", 'loss_tat'),
    ('custom_hooks', [dict(type='mmrazor.TeacherCheckHook', floor='high')], 'floor', "'high'"),
    ('custom_hooks', [_BALANCE | dict(target=dict(loss_kd=0.5))], "'loss_kd'", 'loss_tat'),
    ('custom_hooks', [_BALANCE | dict(target=50)], 'target must be a share', 'got 50'),
    (
        *('custom_hooks', [dict(type='mmrazor.TeacherCheckHook', flor=3)]),
        *('custom_hooks.0.flor=3: ', "'flor'; nearest: floor"),
    ),
]
