# Every method on the demo's generated scenes, on a CPU: two hours on 2 cores with --jobs 2.
# The teacher has twice the students' iterations and nine times their parameters.
_base_ = '../_base_/suites/methods.py'
title = 'Generated scenes: every method, three seeds'
seeds = (0, 1, 2)
metric = 'mIoU'
baseline = 'student'
toy_data = dict(num_train=2000, num_val=200, size=(64, 64))
_iterations = ('train_cfg.max_iters', 'param_scheduler.0.end')
options = {
    **dict.fromkeys(_iterations, 2000),
    'train_cfg.val_interval': 500,
    'default_hooks.checkpoint.interval': 500,
}
runs = dict(
    teacher=dict(
        config='small/demo/teacher.py',
        label='teacher',
        seeds=(0, ),
        baseline=None,
        options={**dict.fromkeys(_iterations, 4000), 'train_cfg.val_interval': 1000,
                 'default_hooks.checkpoint.interval': 1000}),
    student=dict(config='small/demo/student.py', label='plain student'),
    **{
        method: dict(
            config=f'small/demo/{method}_student.py',
            label=label,
            teacher='teacher',
            start='student')
        for method, (_, label) in {**_base_.pop('methods'), **_base_.pop('families')}.items()
    })
_base_.pop('notes')  # which are about the paper's figures
del _iterations
