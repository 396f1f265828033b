# Nobody publishes its weights for mmseg: train it first and name the checkpoint, by
# --cfg-options model.teacher_ckpt=PATH or in a child config.
_base_ = './hooks.py'

from mmengine import Config  # noqa: E402

_config = Config.fromfile(
    '{{ fileDirname }}/../../teachers/'
    'deeplabv3plus_r101-d16_1xb16-100e_voc12aug-513x513.py')
teacher_hooks = dict(teacher_check=dict(floor=50))
teacher = dict(
    _scope_='mmrazor', type='FrozenTeacherDistill', teacher=_config.model, teacher_ckpt=None)
del Config, _config
