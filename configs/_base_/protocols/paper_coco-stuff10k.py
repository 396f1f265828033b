_base_ = ['mmseg::_base_/datasets/coco-stuff10k.py', './paper.py']
crop_size = (513, 513)
train_pipeline = _base_.pop('paper_train_pipeline')
train_dataloader = dict(
    batch_size=16,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline))
