# Over a TaT recipe, what its authors' code has: no scale, their weights, the cross entropy averaged
# over the labelled pixels and divided by the batch once more (16 here), the teacher's norms by the
# statistics of the batch.
method = dict(
    architecture=dict(
        decode_head=dict(loss_decode=dict(avg_non_ignore=True, loss_weight=1 / 16))),
    teacher_mode='bn_train',
    distiller=dict(
        distill_losses=dict(
            loss_tat=dict(softmax_over='teacher', scale=1.0, loss_weight=1.0))))
