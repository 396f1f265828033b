# For networks of four stages: the last one is the feature.
_base_ = './review_kd.py'
for _record in _base_.method.distiller.loss_forward_mappings.loss_review.values():
    _record.recorder.append('feature')
del _record
