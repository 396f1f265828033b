_base_ = ['./student.py', '../_base_/distillers/tat.py']

from mmengine import Config  # noqa: E402

# The map is 12 x 12: 6 x 6 patches of 2 x 2, four to a group, and 6 x 6 anchor points.
_base_.distiller.distill_losses.loss_patch.update(grid=(6, 6), groups=9, loss_weight=0.1)
_base_.distiller.distill_losses.loss_anchor.update(kernel=2, loss_weight=0.04)
model = dict(
    type='mmrazor.FrozenTeacherDistill',
    architecture=_base_.pop('model'),
    teacher=Config.fromfile('{{ fileDirname }}/teacher.py').model,
    distiller=_base_.pop('distiller'))
del Config
