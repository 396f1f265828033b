# What decides whether TaT helps, second part: the best settings of tat_sieve.py (but a learnt
# scale, which is gone) and the best one over the student's positions, in full, and every rival at
# its usual weight, a tenth and ten times of it, Overhaul also at the head alone, where TaT reads.
# One folder (--out) with tiny.py trains what they have in common once.
_base_ = './tat_sieve.py'
title = 'TaT on generated scenes: the best settings, and rivals by weight'
seeds = (0, 1, 2)
baseline = 'student'
_best = (
    'teacher_autoby3_10_image_patch+anchor_head',
    'teacher_3auto_30_image_patch+anchor_head',
    'teacher_auto_30_image_patch+anchor_head',
    'teacher_autoby3_30_image_patch+anchor_head',
    'teacher_auto_10_image_patch+anchor_head',
    'student_autoby3_10_image_patch+anchor_head',
)
_half = ('train_cfg.max_iters', 'param_scheduler.0.end')
_rivals = {
    'kd': ('KD', dict(kd=10.0)),
    'at': ('AT', dict(at=1000.0)),
    'fitnet': ('FitNet', dict(fitnet=1.0)),
    'ofd': ('Overhaul', dict(
        stage1=0.01 / 8, stage2=0.01 / 4, stage3=0.01 / 2, stage4=0.01, feature=0.01)),
    'ickd': ('ICKD', dict(ickd=2.5)),
    'review-kd': ('KR', dict(review=1.0)),
    'cwd': ('CWD', dict(cwd=3.0)),
}
_sieve = _base_.pop('runs')
runs = {
    'teacher': _sieve['teacher'],
    'student': dict(config='small/demo/student.py', label='plain student'),
    **{
        f'{name}_2000': dict(
            config=_sieve[name].config,
            label=_sieve[name].label,
            teacher='teacher',
            start='student',
            options={key: value for key, value in _sieve[name].options.items()
                     if key not in _half})
        for name in _best
    },
    **{
        f'{method}{suffix}': dict(
            config=f'small/demo/{method}_student.py',
            label=label + of,
            teacher='teacher',
            start='student',
            options={
                f'model.distiller.distill_losses.loss_{loss}.loss_weight': times * weight
                for loss, weight in weights.items() if times != 1
            })
        for method, (label, weights) in _rivals.items()
        for suffix, of, times in (
            ('', '', 1),
            ('-x0.1', ', a tenth of the weight', 0.1),
            ('-x10', ', ten times the weight', 10))
    },
    'ofd-head': dict(
        config='small/demo/ofd_student.py',
        label='Overhaul, the head alone',
        teacher='teacher',
        start='student',
        options={
            f'model.distiller.distill_losses.loss_stage{k}.loss_weight': 0.0
            for k in (1, 2, 3, 4)
        }),
}
del _best, _half, _rivals, _sieve
