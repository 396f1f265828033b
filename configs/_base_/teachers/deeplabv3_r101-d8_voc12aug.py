# mmseg's published DeepLabV3 ResNet-101, 40k iterations: 77.92 mIoU (its model zoo).
_base_ = './hooks.py'

from mmengine import Config  # noqa: E402

_config = Config.fromstring(
    "_base_ = 'mmseg::deeplabv3/deeplabv3_r101-d8_4xb4-40k_voc12aug-512x512.py'", '.py')
teacher_hooks = dict(teacher_check=dict(floor=50))
teacher = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    teacher=_config.model,
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/'
    'deeplabv3_r101-d8_512x512_40k_voc12aug/deeplabv3_r101-d8_512x512_40k_voc12aug_20200613_161432-0017d784.pth')
del Config, _config
