# Every method under its usual weight and with its gradient balanced against the labels' at three
# shares, on the demo's scenes, on a CPU. Half the iterations of tiny.py.
_base_ = './tiny.py'
title = 'Generated scenes: usual weights against balanced gradients, three seeds'
_methods = ('kd', 'at', 'fitnet', 'ofd', 'ickd', 'review-kd', 'cwd', 'tat')
options = dict.fromkeys(('train_cfg.max_iters', 'param_scheduler.0.end'), 1000)
runs = {
    f'{method}-{share}': dict(
        _base_.runs[method],
        label=f'{_base_.runs[method].label}, share {share}',
        options={'default_hooks.balance': dict(type='mmrazor.GradientBalanceHook', target=share)})
    for method in _methods for share in (0.3, 0.5, 0.7)
}
_base_.runs = {name: _base_.runs[name] for name in ('teacher', 'student', *_methods)}
del _methods
