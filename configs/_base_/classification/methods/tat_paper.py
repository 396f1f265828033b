# Over a TaT recipe, the paper's non-parametric equations: W^i, a softmax over the student's
# positions, no scale.
method = dict(
    distiller=dict(distill_losses=dict(loss_tat=dict(softmax_over='student', scale=1.0))))
