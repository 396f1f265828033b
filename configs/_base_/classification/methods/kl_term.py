# beta * L_KL for a method that has no such term.
kl_term = dict(
    distill_losses=dict(loss_kl=dict(type='KLDivergence', tau=4.0, loss_weight=0.9)),  # beta
    loss_forward_mappings=dict(
        loss_kl=dict(
            preds_S=dict(recorder='logits', from_student=True),
            preds_T=dict(recorder='logits', from_student=False))))
