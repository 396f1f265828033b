# On ImageNet the authors take both networks' maps before the ReLU (see configs/review_kd).
_base_ = './review_kd_four_stages.py'
_mapping = _base_.method.distiller.loss_forward_mappings.loss_review
_mapping.s_features.recorder = list(_mapping.t_features.recorder)
del _mapping
