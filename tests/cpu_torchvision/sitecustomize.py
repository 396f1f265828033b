"""With this folder on PYTHONPATH every Python process can import torchvision."""

import torchvision_operators

torchvision_operators.install()
