# The paper's two ablations on ImageNet, epsilon (Figure 3) and the projections (Table 4), at the
# size of a CPU, and the softmax of the released code, over the teacher. The recipe has epsilon 1
# beside alpha 1, gamma and phi with kernel 3.
_base_ = '../_base_/suites/tiny_cifar.py'
title = "TaT on drawn images in CIFAR's layout: epsilon and projections"
_loss = 'model.distiller.distill_losses.loss_tat'
_epsilon, _projections = f'{_loss}.loss_weight', f'{_loss}.projections'
_all = ('gamma', 'phi', 'theta')
runs = {
    name: dict(
        config='demo_cifar/tat_student.py',
        label=label,
        teacher='teacher',
        start='student',
        options=options)
    for name, label, options in (
        ('tat-epsilon0.1', 'epsilon 0.1', {_epsilon: 0.1}),
        ('tat-epsilon0.3', 'epsilon 0.3', {_epsilon: 0.3}),
        ('tat', 'epsilon 1, gamma, 3 x 3', {}),
        ('tat-epsilon3', 'epsilon 3', {_epsilon: 3.0}),
        ('tat-epsilon10', 'epsilon 10', {_epsilon: 10.0}),
        ('tat-no-projections', 'no projection', {_projections: ()}),
        ('tat-theta', 'theta + gamma, 3 x 3', {_projections: _all}),
        ('tat-1x1', 'gamma, 1 x 1', {f'{_loss}.kernel_size': 1}),
        ('tat-softmax-teacher', 'softmax over the teacher', {f'{_loss}.softmax_over': 'teacher'}))
}
del _loss, _epsilon, _projections, _all
