"""Networks for images of 32 x 32 that no package has."""

from .cifar_resnet import CIFARResNet
from .cifar_vgg import CIFARVGG

__all__ = ['CIFARResNet', 'CIFARVGG']
