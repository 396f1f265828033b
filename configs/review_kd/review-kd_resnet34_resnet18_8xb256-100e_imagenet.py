_base_ = [
    '../_base_/classification/pairs/resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/review_kd_four_stages.py',
]
_maps = _base_.method.distiller.loss_forward_mappings.loss_review
_maps.s_features.recorder = list(_maps.t_features.recorder)  # before the ReLU, as its authors
del _maps
model = _base_.pop('method')
