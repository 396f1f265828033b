_base_ = './kl_term.py'
kl_term = dict(distill_losses=dict(loss_kl=dict(tau=1.0, loss_weight=0.5)))  # beta
