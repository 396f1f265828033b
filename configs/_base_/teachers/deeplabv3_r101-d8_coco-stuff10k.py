# mmseg's published DeepLabV3 ResNet-101, 40k iterations: 37.81 mIoU (its model zoo).
_base_ = './hooks.py'

from mmengine import Config  # noqa: E402

_config = Config.fromstring(
    "_base_ = 'mmseg::deeplabv3/deeplabv3_r101-d8_4xb4-40k_coco-stuff10k-512x512.py'", '.py')
teacher_hooks = dict(teacher_check=dict(floor=15))
teacher = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    teacher=_config.model,
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/'
    'deeplabv3_r101-d8_512x512_4x4_40k_coco-stuff10k/deeplabv3_r101-d8_512x512_4x4_40k_coco-stuff10k_20210821_043305-636cb433.pth')
del Config, _config
