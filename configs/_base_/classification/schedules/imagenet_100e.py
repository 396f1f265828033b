# The training of TaT's released ImageNet settings: 8 GPUs x 256 images.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1.6e-3, weight_decay=5e-4))
param_scheduler = dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60, 90], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=2048)
