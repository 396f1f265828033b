# Patch-group and anchor-point TaT on the last 3x3 conv of the head, before its ReLU. A recipe sets
# its own views (here: the paper's for ResNet-18 on VOC); channels are read from the models.
_feature = dict(type='ModuleInputs', source='decode_head.bottleneck.activate')

distiller = dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    student_recorders=dict(feature=_feature),
    teacher_recorders=dict(feature=_feature),
    distill_losses=dict(
        loss_tat=dict(
            type='HierarchicalTaTLoss',
            views=[
                dict(type='patch', grid=(16, 16), groups=64, weight=0.1),
                dict(type='anchor', kernel=4, weight=0.04)])),
    loss_forward_mappings=dict(
        loss_tat=dict(
            s_feature=dict(recorder='feature', from_student=True, data_idx=0),
            t_feature=dict(recorder='feature', from_student=False, data_idx=0))))
del _feature
