# For networks of four stages: the last one is the feature.
_base_ = './fsp.py'
for _record in _base_.method.distiller.loss_forward_mappings.loss_fsp.values():
    _record.recorder.append('feature')
del _record
