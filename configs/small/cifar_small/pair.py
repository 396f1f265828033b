_base_ = ['./student.py', '../../_base_/classification/feature_points/resnet20.py']

from mmengine import Config  # noqa: E402

model = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    architecture=_base_.pop('model'),
    teacher=Config.fromfile('{{ fileDirname }}/teacher.py').model,
    teacher_ckpt=None,
    probe_size=(32, 32),
    distiller=_base_.pop('distiller'))
del Config
