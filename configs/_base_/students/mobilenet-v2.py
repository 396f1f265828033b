# The backbone of mmseg's own MobileNetV2 DeepLabs; who takes it sets strides and dilations.
mobilenet_v2 = dict(
    _delete_=True,
    type='MobileNetV2',
    widen_factor=1.,
    out_indices=(1, 2, 4, 6),
    norm_cfg=dict(type='SyncBN', requires_grad=True))
