# TaT where the student's map has half the teacher's length: the softmax runs over the student's
# positions, with and without a scale. Half of tiny's iterations.
_base_ = './tiny.py'
title = 'TaT on generated scenes where the maps differ in size'
_half = dict.fromkeys(('train_cfg.max_iters', 'param_scheduler.0.end'), 1000)
_loss = 'model.distiller.distill_losses.loss_tat'
_backbone = 'model.architecture.backbone'
_strides = {'strides': (1, 2, 1, 1), 'dilations': (1, 1, 1, 2)}
runs = {
    'teacher': _base_.runs['teacher'],
    'small-map': dict(
        config='small/demo/student.py',
        label='plain student, a map of 8 x 8',
        options={**_half, **{f'model.backbone.{k}': v for k, v in _strides.items()}}),
    **{
        f'small-map-tat-{name}': dict(
            config='small/demo/tat_student.py',
            label=f'TaT over the student, scale {name}',
            teacher='teacher',
            start='small-map',
            options={
                **_half,
                **{f'{_backbone}.{k}': v for k, v in _strides.items()},
                f'{_loss}.softmax_over': 'student',
                f'{_loss}.scale': scale,
                f'{_loss}.views.0.weight': 0.1,
                f'{_loss}.views.1.weight': 0.04,
                f'{_loss}.loss_weight': 10.0,
            })
        for name, scale in (('auto', 'auto'), ('1', 1.0))
    },
}
baseline = 'small-map'
_base_.pop('runs')
del _half, _loss, _backbone, _strides
