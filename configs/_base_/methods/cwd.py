# Channel-wise distillation of the logits, by MMRazor's loss; the paper's temperature and weight.
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    distill_losses=dict(
        loss_cwd=dict(type='ChannelWiseDivergence', tau=4.0, loss_weight=3.0)),
    loss_forward_mappings=dict(
        loss_cwd=dict(
            preds_S=dict(recorder='logits', from_student=True),
            preds_T=dict(recorder='logits', from_student=False)))))
