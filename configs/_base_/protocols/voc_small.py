# Photographs on a CPU: VOC12aug, or a part of it, with background and six frequent classes (the
# others are ignored), short side 160, crop 128, batch 8.
_base_ = [
    'mmseg::_base_/datasets/pascal_voc12_aug.py',
    'mmseg::_base_/schedules/schedule_20k.py',
    'mmseg::_base_/default_runtime.py',
    '../runtime.py',
]
default_hooks = _base_.pop('guards')
crop_size = (128, 128)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(1024, 160), ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
_metainfo = dict(classes=('background', 'cat', 'cow', 'dog', 'horse', 'person', 'sheep'))
for _dataset in _base_.train_dataloader.dataset.datasets:
    _dataset.update(pipeline=train_pipeline, metainfo=_metainfo)
for _loader in (_base_.val_dataloader, _base_.test_dataloader):
    _loader.dataset.metainfo = _metainfo
    _loader.dataset.pipeline[1].scale = (1024, 160)
del _metainfo, _dataset, _loader
train_dataloader = dict(batch_size=8, num_workers=1)
val_dataloader = dict(num_workers=1)
test_dataloader = dict(num_workers=1)
