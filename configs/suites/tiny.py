# Teacher, plain student and TaT, three seeds, 1,000 iterations each.
title = 'TaT and the plain student on generated scenes'
seeds = (0, 1, 2)
metric = 'mIoU'
baseline = 'student'
toy_data = dict(num_train=1000, num_val=100, size=(64, 64))
options = {'train_cfg.val_interval': 250, 'default_hooks.checkpoint.interval': 250}

methods = dict(tat='TaT')
runs = dict(
    teacher=dict(config='demo/teacher.py', label='teacher', seeds=(0,), baseline=None),
    student=dict(config='demo/student.py', label='plain student'),
    **{name: dict(config=f'demo/{name}_student.py', label=label, teacher='teacher', start='student')
       for name, label in methods.items()})
del methods
