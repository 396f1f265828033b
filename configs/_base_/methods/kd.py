# Knowledge distillation at every pixel; temperature and weight of Liu et al. (CVPR 2019). 10 is
# their paper's, for a mean over pixels; their code sums over the batch, 80 here at its batch of 8.
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    distill_losses=dict(loss_kd=dict(type='PixelWiseKDLoss', tau=1.0, loss_weight=10.0)),
    loss_forward_mappings=dict(
        loss_kd=dict(
            preds_S=dict(recorder='logits', from_student=True),
            preds_T=dict(recorder='logits', from_student=False)))))
