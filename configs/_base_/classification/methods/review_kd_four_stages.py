# For networks of four stages: the last one is the feature.
_base_ = './review_kd.py'
_mapping = _base_.method.distiller.loss_forward_mappings.loss_review
_mapping.s_features.recorder.append('feature')
_mapping.t_features.recorder.append('feature_pre')
del _mapping
