_base_ = './tat_student.py'
_base_.model.distiller.distill_losses.loss_tat.views.pop(0)
