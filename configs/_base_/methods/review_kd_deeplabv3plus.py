_base_ = './review_kd.py'
for _record in _base_.method.distiller.loss_forward_mappings.loss_review.values():
    _record.recorder.insert(4, 'aspp')
del _record
