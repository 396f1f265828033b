# Patch-group and anchor-point TaT, with the paper's settings for ResNet-18 on VOC. Channels are
# read from the models.
method = dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    distill_losses=dict(
        loss_tat=dict(
            type='HierarchicalTaTLoss',
            views=[
                dict(type='patch', grid=(16, 16), groups=64, weight=0.1),
                dict(type='anchor', kernel=4, weight=0.04)])),
    loss_forward_mappings=dict(
        loss_tat=dict(
            s_feature=dict(recorder='feature', from_student=True),
            t_feature=dict(recorder='feature', from_student=False))))
