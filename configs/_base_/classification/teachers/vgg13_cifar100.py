_base_ = './cifar100.py'

from mmengine import Config  # noqa: E402

_config = Config.fromfile('{{ fileDirname }}/../../../teachers/vgg13_1xb64-240e_cifar100.py')
teacher = dict(teacher=_config.model)
del Config, _config
