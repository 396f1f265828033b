from .cifar_resnet import CIFARResNet
from .cifar_vgg import CIFARVGG

__all__ = ['CIFARResNet', 'CIFARVGG']
