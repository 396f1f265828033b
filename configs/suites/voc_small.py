# Photographs on a CPU: VOC12aug or a part of it (--cfg-options data_root=PATH), by a teacher from
# ImageNet weights.
_base_ = '../_base_/suites/methods.py'
title = 'VOC, background and six classes, crop 128: MobileNetV2 -> a quarter of ResNet-18'
seeds = (0, 1, 2)
metric = 'mIoU'
baseline = 'student'
_iterations = ('train_cfg.max_iters', 'param_scheduler.0.end')
options = {
    **dict.fromkeys(_iterations, 2000),
    'train_cfg.val_interval': 500,
    'default_hooks.checkpoint.interval': 500,
}
runs = dict(
    teacher=dict(
        config='small/voc_small/teacher.py',
        label='teacher',
        seeds=(0, ),
        baseline=None,
        options=dict.fromkeys(_iterations, 1000)),
    student=dict(config='small/voc_small/student.py', label='plain student'),
    **{
        method: dict(
            config=f'small/voc_small/{method}_student.py',
            label=label,
            teacher='teacher',
            start='student')
        for method, (_, label) in _base_.pop('methods').items()
        if method in ('kd', 'fitnet', 'cwd', 'review-kd', 'tat', 'tat-cwd')
    })
_base_.pop('families')
_base_.pop('notes')
del _iterations
