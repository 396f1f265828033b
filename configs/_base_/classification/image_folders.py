# A training on images of 32 x 32 in folders, data_root/train/CLASS and data_root/test/CLASS.
_base_ = './cifar100.py'
_load = dict(type='LoadImageFromFile')
_folder = dict(_delete_=True, type='CustomDataset', data_root=_base_.data_root)
data_preprocessor = dict(to_rgb=True)
model = dict(data_preprocessor=data_preprocessor)
train_dataloader = dict(
    num_workers=1,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        data_prefix='train',
        pipeline=[_load, *_base_.train_dataloader.dataset.pipeline],
        **_folder))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_prefix='test', pipeline=[_load, *_base_.val_dataloader.dataset.pipeline], **_folder))
test_dataloader = val_dataloader
del _load, _folder
