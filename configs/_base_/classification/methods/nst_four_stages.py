# For networks of four stages: the last one is the feature.
_base_ = './nst.py'
method = dict(
    distiller=dict(
        distill_losses=dict(loss_feature=dict(type='NSTLoss', loss_weight=50.0)),
        loss_forward_mappings=dict(
            loss_feature=dict(
                s_feature=dict(recorder='feature', from_student=True),
                t_feature=dict(recorder='feature', from_student=False)))))
