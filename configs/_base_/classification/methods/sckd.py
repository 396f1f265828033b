# KD where it agrees with the labels (a reading of SCKD, see configs/sckd); weights of kd.py.
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.1))),
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(loss_sckd=dict(type='SCKDLoss', tau=4.0, loss_weight=0.9)),
        loss_forward_mappings=dict(
            loss_sckd=dict(
                preds_S=dict(recorder='logits', from_student=True),
                preds_T=dict(recorder='logits', from_student=False),
                data_samples=dict(recorder='samples', from_student=True, data_idx=1)))))
