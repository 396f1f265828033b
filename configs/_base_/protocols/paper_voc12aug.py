_base_ = ['mmseg::_base_/datasets/pascal_voc12_aug.py', './paper.py']
crop_size = (513, 513)
train_pipeline = _base_.pop('paper_train_pipeline')
for _dataset in _base_.train_dataloader.dataset.datasets:
    _dataset.pipeline = train_pipeline
del _dataset
train_dataloader = dict(
    batch_size=16, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True))
