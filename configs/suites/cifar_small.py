# Photographs of 32 x 32 on a CPU: 50 of CIFAR-100's classes or other image folders
# (--cfg-options data_root=PATH), ten minutes a run on a core.
_base_ = '../_base_/suites/classification_methods.py'
title = "Photographs of 50 of CIFAR-100's classes: ResNet-20 -> ResNet-8"
seeds = (0, 1, 2)
metric = 'accuracy/top1'
baseline = 'student'
runs = dict(
    teacher=dict(
        config='small/cifar_small/teacher.py',
        label='ResNet-20, the teacher',
        seeds=(0, ),
        baseline=None,
        options={
            'train_cfg.max_iters': 8000,
            'param_scheduler.1.T_max': 7600,
            'param_scheduler.1.end': 8000
        }),
    student=dict(config='small/cifar_small/student.py', label='ResNet-8, plain'),
    **{
        method: dict(
            config=f'small/cifar_small/{method}_student.py',
            label=label,
            teacher='teacher',
            start='student')
        for method, label in {
            **{method: label for method, (_, label) in _base_.pop('methods').items()},
            **_base_.pop('families')
        }.items() if method in ('kd', 'fitnet', 'sp', 'crd', 'review-kd', 'tat', 'tat-released',
                                'tat-paper', 'tat-kl')
    })
_base_.pop('notes')
