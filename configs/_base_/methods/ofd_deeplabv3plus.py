# DeepLabV3+ has the ASPP's result where DeepLabV3 has its feature, and the decoder's, at 1/16 of
# the weight, on top.
_base_ = './ofd.py'
method = dict(distiller=dict(
    connectors=dict(
        student_aspp=dict(type='TaTConnector', norm_cfg=dict(type='BN')),
        teacher_aspp=dict(type='MarginReLUConnector')),
    distill_losses=dict(
        loss_aspp=dict(type='ScaledOFDLoss', loss_weight=0.01, meant_for=(256, 33, 33)),
        loss_feature=dict(loss_weight=0.01 / 16, meant_for=(256, 129, 129))),
    loss_forward_mappings=dict(
        loss_aspp=dict(
            s_feature=dict(recorder='aspp', from_student=True, connector='student_aspp'),
            t_feature=dict(recorder='aspp', from_student=False, connector='teacher_aspp')))))
