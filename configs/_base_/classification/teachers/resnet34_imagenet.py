# mmpretrain's published ResNet-34: 73.62 top-1 (its model zoo). The paper's teacher has 73.31.
from mmengine import Config

_config = Config.fromstring("_base_ = 'mmpretrain::resnet/resnet34_8xb32_in1k.py'", '.py')
teacher = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    teacher=_config.model,
    teacher_ckpt='https://download.openmmlab.com/mmclassification/v0/resnet/'
    'resnet34_8xb32_in1k_20210831-f257d4e6.pth',
    probe_size=(224, 224))
teacher_hooks = dict(
    teacher_check=dict(
        type='mmrazor.TeacherCheckHook', num_images=1000, metric='accuracy/top1', floor=40),
    teacher_evaluation=dict(type='mmrazor.TeacherEvaluationHook'))
del Config, _config
