_base_ = ['mmpretrain::_base_/default_runtime.py', '../runtime.py']
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=2, save_best='accuracy/top1'), **_base_.pop('guards'))
