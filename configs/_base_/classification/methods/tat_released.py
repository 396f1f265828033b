# Over a TaT recipe, what its authors' code has: a softmax over the teacher's positions, no scale.
method = dict(
    distiller=dict(distill_losses=dict(loss_tat=dict(softmax_over='teacher', scale=1.0))))
