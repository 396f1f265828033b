# mmseg's published DeepLabV3+ ResNet-101, 40k iterations: 78.62 mIoU (its model zoo).
_base_ = './hooks.py'

from mmengine import Config  # noqa: E402

_config = Config.fromstring(
    "_base_ = 'mmseg::deeplabv3plus/deeplabv3plus_r101-d8_4xb4-40k_voc12aug-512x512.py'", '.py')
teacher_hooks = dict(teacher_check=dict(floor=50))
teacher = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    teacher=_config.model,
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3plus/'
    'deeplabv3plus_r101-d8_512x512_40k_voc12aug/'
    'deeplabv3plus_r101-d8_512x512_40k_voc12aug_20200613_205333-faf03387.pth')
del Config, _config
