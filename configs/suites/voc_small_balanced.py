# As tiny_balanced.py on photographs: half the iterations of voc_small.py.
_base_ = './voc_small.py'
title = 'VOC, background and six classes: usual weights against balanced gradients'
_methods = ('kd', 'fitnet', 'cwd', 'review-kd', 'tat', 'tat-cwd')
options = dict.fromkeys(('train_cfg.max_iters', 'param_scheduler.0.end'), 1000)
runs = {
    f'{method}-{share}': dict(
        _base_.runs[method],
        label=f'{_base_.runs[method].label}, share {share}',
        options={'default_hooks.balance': dict(type='mmrazor.GradientBalanceHook', target=share)})
    for method in _methods for share in (0.3, 0.5, 0.7)
}
del _methods
