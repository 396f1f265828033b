"""Bad configs: what is changed of a good one, and what the line must say.

A case is (name, config, changes by dotted key, fragments of the line). A value ``DELETE`` takes the
key away.
"""

DELETE = object()
NAN, INFINITY = float('nan'), float('inf')

_TAT = 'model.distiller.distill_losses.loss_tat'
_HEAD = 'model.decode_head'
_LR = 'optim_wrapper.optimizer.lr'

SETTINGS = [
    ('no model', 'plain', {'model': DELETE}, ("'model'", 'needed')),
    ('model is a list', 'plain', {'model': [1]}, ("'model'", '[1]')),
    (
        'model without type',
        'plain',
        {'model.type': DELETE},
        ('model', 'must contain the key "type"'),
    ),
    (
        'unknown network',
        'plain',
        {'model.type': 'EncodeDecoder'},
        ('model', 'EncodeDecoder is not in the', 'nearest: EncoderDecoder'),
    ),
    (
        'unknown backbone',
        'plain',
        {'model.backbone.type': 'ResNetV1x'},
        ('model', 'nearest: ', 'V1c'),
    ),
    ('unknown head', 'plain', {f'{_HEAD}.type': 'ASPHead'}, ('model', 'nearest: ASPPHead')),
    ('unknown norm', 'plain', {'model.backbone.norm_cfg.type': 'BNN'}, ('model',)),
    ('unknown algorithm', 'recipe', {'model.type': 'FrozenTeacher'}, ('FrozenTeacherDistill',)),
    (
        'unknown loss',
        'recipe',
        {f'{_TAT}.type': 'TatLoss'},
        ('model', 'TatLoss is not in', 'nearest: TaTLoss'),
    ),
    ('unknown view', 'recipe', {f'{_TAT}.views.0.type': 'patches'}, ("'patches'",)),
    ('depth is a text', 'plain', {'model.backbone.depth': '18'}, ('model', 'invalid depth 18')),
    ('depth is unknown', 'plain', {'model.backbone.depth': 19}, ('model', 'invalid depth 19')),
    (
        'width is a text',
        'plain',
        {f'{_HEAD}.in_channels': '64'},
        ('model', 'MMRAZOR_TAT_TRACEBACK=1 shows where'),
    ),
    ('width is wrong', 'recipe', {'model.architecture.decode_head.in_channels': 65}, ('65',)),
    ('classes are a text', 'plain', {f'{_HEAD}.num_classes': 'seven'}, ('model', 'TypeError')),
    ('classes are another number', 'plain', {f'{_HEAD}.num_classes': 5}, ('num_classes is 5',)),
    ('misspelt backbone key', 'plain', {'model.backbone.dept': 18}, ('model', 'ResNet', "'dept'")),
    ('misspelt head key', 'plain', {f'{_HEAD}.dilation': (1, 2)}, ('model', 'Head', "'dilation'")),
    (
        'misspelt algorithm key',
        'recipe',
        {'model.teacher_ckp': 'x'},
        ("'teacher_ckp'", 'teacher_ckpt'),
    ),
    (
        'misspelt loss key',
        'recipe',
        {f'{_TAT}.los_weight': 1.0},
        ('HierarchicalTaTLoss', "'los_weight'"),
    ),
    ('misspelt distiller key', 'recipe', {'model.distiller.recorders': dict()}, ('recorders',)),
    (
        'unknown source',
        'recipe',
        {'model.distiller.student_recorders.feature.source': 'decode_head.x'},
        ("'decode_head.x'", 'Nearest'),
    ),
    (
        'recorder of a number',
        'recipe',
        {'model.distiller.student_recorders.feature.source': 3},
        ('3',),
    ),
    (
        'unknown teacher mode',
        'recipe',
        {'model.teacher_mode': 'train'},
        ('teacher_mode', "'train'"),
    ),
    ('grid that does not fit', 'recipe', {f'{_TAT}.views.0.grid': (5, 5)}, ('5',)),
    ('groups that do not divide', 'recipe', {f'{_TAT}.views.0.groups': 3}, ('groups', '3')),
    ('kernel of 0', 'recipe', {f'{_TAT}.views.1.kernel': 0}, ('kernel', '0')),
    ('unknown direction', 'recipe', {f'{_TAT}.softmax_over': 'both'}, ('softmax_over', "'both'")),
    ('negative epsilon', 'recipe', {f'{_TAT}.loss_weight': -0.1}, ('loss_weight', '-0.1')),
    ('epsilon is nan', 'recipe', {f'{_TAT}.loss_weight': NAN}, ('loss_weight', 'nan')),
    ('epsilon is infinite', 'recipe', {f'{_TAT}.loss_weight': INFINITY}, ('loss_weight', 'inf')),
    ('epsilon is a text', 'recipe', {f'{_TAT}.loss_weight': '1'}, ('loss_weight', "'1'")),
    ('negative weight of a view', 'recipe', {f'{_TAT}.views.0.weight': -1.0}, ('weight', '-1.0')),
    (
        'negative alpha',
        'recipe',
        {'model.architecture.decode_head.loss_decode.loss_weight': -1.0},
        ('architecture.decode_head.loss_decode.loss_weight', '-1.0'),
    ),
    (
        'alpha is nan',
        'plain',
        {f'{_HEAD}.loss_decode.loss_weight': NAN},
        ('model.decode_head.loss_decode.loss_weight', 'nan'),
    ),
    ('alpha is None', 'plain', {f'{_HEAD}.loss_decode.loss_weight': None}, ('loss_weight', 'None')),
    ('alpha is a text', 'plain', {f'{_HEAD}.loss_decode.loss_weight': 'a'}, ('loss_weight', "'a'")),
    (
        'negative beta',
        'recipe',
        {
            'model.distiller.distill_losses.loss_kl': dict(
                type='KLDivergence', tau=4.0, loss_weight=-0.9
            )
        },
        ('loss_kl.loss_weight', '-0.9'),
    ),
    (
        'temperature of 0',
        'recipe',
        {
            'model.distiller.distill_losses.loss_kl': dict(
                type='KLDivergence', tau=0, loss_weight=0.9
            )
        },
        ('loss_kl.tau', 'above 0'),
    ),
    ('negative lr', 'plain', {_LR: -0.1}, ('optim_wrapper', 'lr', '-0.1')),
    ('lr is a text', 'plain', {_LR: '0.01'}, ('optim_wrapper', "'0.01'")),
    ('lr is nan', 'plain', {_LR: NAN}, ('optim_wrapper', 'nan')),
    (
        'negative weight decay',
        'plain',
        {'optim_wrapper.optimizer.weight_decay': -1},
        ('weight_decay', '-1'),
    ),
    (
        'unknown optimiser',
        'plain',
        {'optim_wrapper.optimizer.type': 'AdamV'},
        ('optim_wrapper', "'AdamV'"),
    ),
    ('misspelt optimiser key', 'plain', {'optim_wrapper.optimizer.momentun': 0.9}, ("'momentun'",)),
    (
        'optimiser is a text',
        'plain',
        {'optim_wrapper.optimizer': 'AdamW'},
        ('optim_wrapper', 'AdamW'),
    ),
    ('no optimiser', 'plain', {'optim_wrapper': DELETE}, ('optim_wrapper',)),
    (
        'no transforms',
        'plain',
        {'train_dataloader.dataset.pipeline': []},
        ('pipeline of the', 'is empty'),
    ),
    ('no iterations', 'plain', {'train_cfg.max_iters': 0}, ('train_cfg.max_iters', '0')),
    ('negative iterations', 'plain', {'train_cfg.max_iters': -5}, ('train_cfg.max_iters', '-5')),
    ('iterations are a text', 'plain', {'train_cfg.max_iters': 'ten'}, ('train_cfg', "'ten'")),
    ('half an iteration', 'plain', {'train_cfg.max_iters': 1.5}, ('max_iters', '1.5')),
    ('validates every 0', 'plain', {'train_cfg.val_interval': 0}, ('val_interval', '0')),
    ('misspelt loop key', 'plain', {'train_cfg.max_iter': 5}, ("'max_iter'",)),
    ('unknown loop', 'plain', {'train_cfg.type': 'IterLoop'}, ('train_cfg', 'IterLoop is not in')),
    (
        'unknown schedule',
        'plain',
        {'param_scheduler.0.type': 'PolLR'},
        ('param_scheduler', 'PolLR is not in', 'nearest: PolyLR'),
    ),
    ('schedule ends at 0', 'plain', {'param_scheduler.0.end': -1}, ('end',)),
    (
        'batch of 0',
        'plain',
        {'train_dataloader.batch_size': 0},
        ('train_dataloader', 'batch_size=0'),
    ),
    (
        'batch of -1',
        'plain',
        {'val_dataloader.batch_size': -1},
        ('val_dataloader', 'batch_size=-1'),
    ),
    (
        'batch is a text',
        'plain',
        {'train_dataloader.batch_size': 'two'},
        ('train_dataloader', 'batch_size=two'),
    ),
    (
        'negative workers',
        'plain',
        {'train_dataloader.num_workers': -1},
        ('train_dataloader', 'num_workers'),
    ),
    (
        'no workers persist',
        'plain',
        {'train_dataloader.persistent_workers': True},
        ('persistent_workers',),
    ),
    (
        'misspelt loader key',
        'plain',
        {'train_dataloader.batchsize': 2},
        ("'batchsize'", 'train_dataloader'),
    ),
    ('loader is a text', 'plain', {'train_dataloader': 'voc'}, ('train_cfg', 'AttributeError')),
    (
        'unknown data set',
        'plain',
        {'train_dataloader.dataset.type': 'BaseSegDatset'},
        ('train_dataloader', 'nearest: BaseSegDataset'),
    ),
    ('misspelt data set key', 'plain', {'train_dataloader.dataset.dataroot': 'x'}, ("'dataroot'",)),
    (
        'unknown transform',
        'plain',
        {'train_dataloader.dataset.pipeline.3.type': 'RandomCrp'},
        ('train_dataloader', 'nearest: RandomCrop'),
    ),
    (
        'negative crop',
        'plain',
        {'train_dataloader.dataset.pipeline.3.crop_size': (-4, 48)},
        ('train_dataloader',),
    ),
    (
        'crop is a text',
        'plain',
        {'train_dataloader.dataset.pipeline.3.crop_size': 'big'},
        ('train_dataloader',),
    ),
    (
        'unknown sampler',
        'plain',
        {'train_dataloader.sampler.type': 'Infinite'},
        ('train_dataloader', 'nearest: InfiniteSampler'),
    ),
    (
        'unknown metric',
        'plain',
        {'val_evaluator.type': 'IoUMetrics'},
        ('evaluator', 'nearest: IoUMetric'),
    ),
    (
        'unknown data preprocessor',
        'plain',
        {'model.data_preprocessor.type': 'SegPre'},
        ('model', 'SegPre is not in'),
    ),
    (
        'data root is a number',
        'plain',
        {'train_dataloader.dataset.data_root': 5},
        ('train_dataloader',),
    ),
    (
        'unknown hook',
        'plain',
        {'custom_hooks': [dict(type='EMAHok')]},
        ('custom_hooks', 'nearest: EMAHook'),
    ),
    (
        'misspelt hook key',
        'plain',
        {'custom_hooks': [dict(type='EMAHook', momentun=0.1)]},
        ("'momentun'",),
    ),
    (
        'hook without type',
        'plain',
        {'default_hooks.chekpoint': dict(interval=3)},
        ('default_hooks', 'must contain the key "type"', "'interval': 3"),
    ),
    (
        'schedule of no loss',
        'recipe',
        {
            'custom_hooks': [
                dict(type='mmrazor.LossScheduleHook', schedules=dict(loss_kd=dict(warmup=3)))
            ]
        },
        ("'loss_kd'", 'loss_tat'),
    ),
    (
        'floor is a text',
        'recipe',
        {'custom_hooks': [dict(type='mmrazor.TeacherCheckHook', floor='high')]},
        ('floor', "'high'"),
    ),
    (
        'unknown visualizer',
        'plain',
        {'visualizer.type': 'SegVisualiser'},
        ('visualizer', 'SegLocalVisualizer'),
    ),
    ('seed is a text', 'plain', {'randomness.seed': 'one'}, ('randomness',)),
    ('misspelt randomness', 'plain', {'randomness.sed': 1}, ("'sed'",)),
    ('load_from is a number', 'plain', {'load_from': 7}, ('there is no file 7',)),
    (
        'pretrained is a number',
        'plain',
        {'model.pretrained': 7},
        ('model', 'pretrained must be a str'),
    ),
]
