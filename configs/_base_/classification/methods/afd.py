# Attention-based feature distillation (the paper's SAD) over the stages; the authors' weight.
_stages = ['stage1', 'stage2', 'stage3']
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(loss_afd=dict(type='AFDLoss', loss_weight=200.0)),
        loss_forward_mappings=dict(
            loss_afd=dict(
                s_features=dict(recorder=_stages, from_student=True),
                t_features=dict(recorder=_stages, from_student=False)))))
del _stages
