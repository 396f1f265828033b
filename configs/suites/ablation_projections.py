# Which projections are learnt, and their kernel (the paper's Table 4, with KL). gamma stands for
# gamma and phi, the student's; the recipe has these with kernel 3.
_base_ = '../_base_/suites/imagenet.py'
title = 'TaT on ImageNet, R34 -> R18, with KL: projections'
_loss = 'model.distiller.distill_losses.loss_tat'
_all = ('gamma', 'phi', 'theta')
runs = {
    name: dict(
        config='tat/tat-kl_resnet34_resnet18_8xb256-100e_imagenet.py',
        label=label,
        start='resnet18',
        paper=paper,
        options=options)
    for name, label, paper, options in (
        ('tat-kl-no-projections', 'none', 72.22, {f'{_loss}.projections': ()}),
        ('tat-kl', 'gamma, 3 x 3', 72.41, {}),
        ('tat-kl-theta', 'theta + gamma, 3 x 3', 72.35, {f'{_loss}.projections': _all}),
        ('tat-kl-1x1', 'gamma, 1 x 1', None, {f'{_loss}.kernel_size': 1}),
        ('tat-kl-theta-1x1', 'theta + gamma, 1 x 1', None, {
            f'{_loss}.projections': _all, f'{_loss}.kernel_size': 1}))
}
del _loss, _all
