_base_ = ['./student.py', '../_base_/feature_points/deeplabv3.py']

from mmengine import Config  # noqa: E402

model = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    architecture=_base_.pop('model'),
    teacher=Config.fromfile('{{ fileDirname }}/teacher.py').model,
    distiller=_base_.pop('distiller'))
del Config
