# For networks of four stages: the last one is the feature.
_base_ = './afd.py'
for _record in _base_.method.distiller.loss_forward_mappings.loss_afd.values():
    _record.recorder.append('feature')
del _record
