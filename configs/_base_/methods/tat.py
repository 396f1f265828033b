# Patch-group and anchor-point TaT. Grid, groups, kernel and the views' weights are those of the
# authors' script for ResNet-18 on VOC; ten times these weights is about what theirs are against the
# labels, as they divide the cross entropy by the batch. Softmax over the teacher's positions,
# logits over the square root of their width: what teaches (docs/results/what_decides.md).
# Channels are read from the models.
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    distill_losses=dict(
        loss_tat=dict(
            type='HierarchicalTaTLoss',
            softmax_over='teacher',
            scale='auto',
            views=[
                dict(type='patch', grid=(16, 16), groups=64, weight=0.1),
                dict(type='anchor', kernel=4, weight=0.04)],
            loss_weight=10.0)),
    loss_forward_mappings=dict(
        loss_tat=dict(
            s_feature=dict(recorder='feature', from_student=True),
            t_feature=dict(recorder='feature', from_student=False)))))
