# The weight of TaT beside the labels, without KL (the paper's Figure 3, whose values are not in its
# text; these are ours): L = 0.1 L_task + epsilon L_TaT. 0.2 is the recipe's.
_base_ = '../_base_/suites/imagenet.py'
title = 'TaT on ImageNet, R34 -> R18, without KL: epsilon'
_epsilon = 'model.distiller.distill_losses.loss_tat.loss_weight'
runs = {
    name: dict(
        config='tat/tat_resnet34_resnet18_8xb256-100e_imagenet.py',
        label=f'epsilon {epsilon:g}',
        start='resnet18',
        options=options)
    for name, epsilon, options in (
        ('tat-epsilon0.02', 0.02, {_epsilon: 0.02}),
        ('tat-epsilon0.05', 0.05, {_epsilon: 0.05}),
        ('tat-epsilon0.1', 0.1, {_epsilon: 0.1}),
        ('tat', 0.2, {}),
        ('tat-epsilon0.5', 0.5, {_epsilon: 0.5}),
        ('tat-epsilon1', 1.0, {_epsilon: 1.0}))
}
del _epsilon
