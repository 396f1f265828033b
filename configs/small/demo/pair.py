_base_ = ['./student.py', '../../_base_/feature_points/deeplabv3_r101_r18.py']

from mmengine import Config  # noqa: E402

# Both are ResNets of 18 layers.
_base_.distiller.teacher_recorders = _base_.distiller.student_recorders
model = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    architecture=_base_.pop('model'),
    teacher=Config.fromfile('{{ fileDirname }}/teacher.py').model,
    distiller=_base_.pop('distiller'))
del Config
