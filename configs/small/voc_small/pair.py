_base_ = ['./student.py', '../../_base_/feature_points/deeplabv3_r101_mobilenet-v2.py']

from mmengine import Config  # noqa: E402

# Here the MobileNetV2 teaches, and the student is a ResNet-18.
_base_.distiller.teacher_recorders = _base_.distiller.pop('student_recorders')
_stages = Config.fromfile('{{ fileDirname }}/../../_base_/feature_points/deeplabv3_r101_r18.py')
model = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    architecture=_base_.pop('model'),
    teacher=Config.fromfile('{{ fileDirname }}/teacher.py').model,
    distiller=dict(
        student_recorders=_stages.distiller.student_recorders, **_base_.pop('distiller')))
del Config, _stages
