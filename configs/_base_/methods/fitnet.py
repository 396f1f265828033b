# FitNet: a 1x1 convolution takes the student's feature to the teacher's width; mean squared error.
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    connectors=dict(regressor=dict(type='TaTConnector', norm_cfg=None)),
    distill_losses=dict(
        loss_fitnet=dict(type='L2Loss', normalize=False, div_element=True, loss_weight=1.0)),
    loss_forward_mappings=dict(
        loss_fitnet=dict(
            s_feature=dict(recorder='feature', from_student=True, connector='regressor'),
            t_feature=dict(recorder='feature', from_student=False)))))
