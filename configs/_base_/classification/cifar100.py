# A training on CIFAR-100, whatever the network.
_base_ = [
    './networks/cifar100.py',
    './datasets/cifar100.py',
    './schedules/cifar100_240e.py',
    './runtime.py',
]
model = dict(data_preprocessor=_base_.data_preprocessor)
