_base_ = 'mmseg::_base_/schedules/schedule_20k.py'
_base_.param_scheduler[0].update(eta_min=0., end=1000)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=1e-2))
train_cfg = dict(max_iters=1000, val_interval=1000)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=1000))
randomness = dict(seed=0)
