# Inter-channel correlation within the cells of a grid; projection and weight of the authors' code
# for classification, grid of TaT's comparison, where it weighs 0.2 against the labels.
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    connectors=dict(projection=dict(type='TaTConnector', norm_cfg=dict(type='BN'))),
    distill_losses=dict(loss_ickd=dict(type='ICKDLoss', grid=(8, 8), loss_weight=2.5)),
    loss_forward_mappings=dict(
        loss_ickd=dict(
            s_feature=dict(recorder='feature', from_student=True, connector='projection'),
            t_feature=dict(recorder='feature', from_student=False)))))
