# The weight of the config that TaT's authors released (beside KL): 500 on a sum over C B^2. Ours is
# the sum over C B, so 500 / B at the B = 256 images of a process.
_base_ = './ickd.py'
method = dict(distiller=dict(distill_losses=dict(loss_ickd=dict(loss_weight=500 / 256))))
