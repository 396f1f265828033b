# Overhaul: four stages of the backbone and the head, each before its ReLU, by MMRazor's partial L2
# loss. Weights of the authors' segmentation code: 1e-5 over 8, 4, 2, 1 (stages) and 1 (head); the
# loss divides by 1000 itself. It is a sum, so a weight is meant for one size of map, (C, H, W): the
# authors', of a ResNet-101 at a crop of 513 and output stride 16. Other maps are scaled to it: at
# 512 x 512 and stride 8, stages 3 and 4 would else weigh 64^2 / 33^2 = 3.8 times as much, and a
# head of 512 channels 2 x 3.76 = 7.5 times.
_points = dict(
    stage1=(0.01 / 8, (256, 129, 129)),
    stage2=(0.01 / 4, (512, 65, 65)),
    stage3=(0.01 / 2, (1024, 33, 33)),
    stage4=(0.01, (2048, 33, 33)),
    feature=(0.01, (256, 33, 33)))
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    connectors={
        **{f'student_{k}': dict(type='TaTConnector', norm_cfg=dict(type='BN')) for k in _points},
        **{f'teacher_{k}': dict(type='MarginReLUConnector') for k in _points},
    },
    distill_losses={
        f'loss_{k}': dict(type='ScaledOFDLoss', loss_weight=weight, meant_for=size)
        for k, (weight, size) in _points.items()
    },
    loss_forward_mappings={
        f'loss_{k}': dict(
            s_feature=dict(recorder=k, from_student=True, connector=f'student_{k}'),
            t_feature=dict(recorder=k, from_student=False, connector=f'teacher_{k}'))
        for k in _points
    }))
del _points
