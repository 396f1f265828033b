# Generated scenes in VOC's layout (mmrazor_tat/datasets/toy_scenes.py), evaluated at a short side
# of 64: that of the demo's and the suites' scenes, which Resize leaves as they are.
_base_ = 'mmseg::_base_/datasets/pascal_voc12.py'

from mmrazor_tat.datasets.toy_scenes import CLASSES, PALETTE  # noqa: E402

data_root = 'data/toy_voc'
crop_size = (64, 64)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=crop_size, ratio_range=(0.8, 1.25), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(256, 64), keep_ratio=True),
    dict(type='LoadAnnotations'),  # after Resize, as mmseg's: the ground truth keeps its size
    dict(type='PackSegInputs'),
]
_dataset = dict(
    type='BaseSegDataset',
    metainfo=dict(classes=CLASSES, palette=PALETTE),
    data_root=data_root,
    img_suffix='.jpg',
    seg_map_suffix='.png')
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(pipeline=train_pipeline, **_dataset))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline, **_dataset))
test_dataloader = val_dataloader
del CLASSES, PALETTE, _dataset
