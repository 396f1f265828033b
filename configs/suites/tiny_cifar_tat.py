# What decides about TaT for classification, at the size of a CPU: its weight epsilon (the paper's
# Figure 3), the projections (its Table 4), the side of the softmax and the scale of its logits. The
# recipe has epsilon 1 beside alpha 1, gamma and phi with kernel 3.
_base_ = '../_base_/suites/tiny_cifar.py'
title = "TaT on drawn images in CIFAR's layout: weight, projections, side and scale of the softmax"
_loss = 'model.distiller.distill_losses.loss_tat'
_epsilon, _projections, _scale = f'{_loss}.loss_weight', f'{_loss}.projections', f'{_loss}.scale'
_all = ('gamma', 'phi', 'theta')
_auto = 32**-0.5  # the maps have 32 channels
runs = {
    name: dict(
        config='small/demo_cifar/tat_student.py',
        label=label,
        teacher='teacher',
        start='student',
        options=options)
    for name, label, options in (
        ('tat', 'epsilon 1, gamma, 3 x 3', {}),
        ('tat-epsilon0.1', 'epsilon 0.1', {_epsilon: 0.1}),
        ('tat-epsilon0.3', 'epsilon 0.3', {_epsilon: 0.3}),
        ('tat-epsilon3', 'epsilon 3', {_epsilon: 3.0}),
        ('tat-epsilon10', 'epsilon 10', {_epsilon: 10.0}),
        ('tat-no-projections', 'no projection', {_projections: ()}),
        ('tat-theta', 'theta + gamma, 3 x 3', {_projections: _all}),
        ('tat-1x1', 'gamma, 1 x 1', {f'{_loss}.kernel_size': 1}),
        ('tat-scale-third', 'scale auto / 3', {_scale: _auto / 3}),
        ('tat-scale-three', 'scale 3 auto', {_scale: 3 * _auto}),
        ('tat-released', "scale 1: the authors' code", {_scale: 1.0}),
        ('tat-softmax-student', 'softmax over the student', {f'{_loss}.softmax_over': 'student'}),
        ('tat-paper', "softmax over the student, scale 1: the paper's W^i", {
            f'{_loss}.softmax_over': 'student', _scale: 1.0}))
}
del _loss, _epsilon, _projections, _scale, _all, _auto
