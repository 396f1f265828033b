# The paper's Table 2. Its teacher has 73.31, mmpretrain's 73.62 (its model zoo).
_base_ = [
    '../_base_/suites/imagenet.py', '../_base_/suites/classification_methods.py',
    '../_base_/suites/imagenet_notes.py',
]
title = 'ImageNet, ResNet-34 -> ResNet-18: every method of the paper'
_methods = _base_.pop('methods')
_notes = {**_base_.pop('notes'), **_base_.pop('imagenet_notes')}
_families = _base_.pop('families')
_differs = ("The authors' released settings have no scale in the softmax (tat-released) and "
            'start from a ResNet-18 with ImageNet weights, these runs from random ones '
            '(configs/tat/README.md).')
runs = {
    _name: dict(
        config=f'{_methods[_method][0]}/{_name}_resnet34_resnet18_8xb256-100e_imagenet.py',
        label=_families.get(_name, _methods[_method][1]),
        group=_group,
        start='resnet18',
        paper=_paper,
        note=_differs if _method == 'tat' else _notes.get(_method))
    for _group, _name, _method, _paper in (
        ('without KL', 'at', 'at', 70.59),
        ('without KL', 'crd', 'crd', 71.17),
        ('without KL', 'afd', 'afd', 71.38),
        ('without KL', 'ickd', 'ickd', 71.59),
        ('without KL', 'review-kd', 'review-kd', 71.61),
        ('without KL', 'tat', 'tat', 72.07),
        ('without KL', 'tat-released', 'tat', 72.07),
        ('without KL', 'tat-paper', 'tat', None),
        ('with KL', 'kd', 'kd', 70.68),
        ('with KL', 'sckd', 'sckd', 70.87),
        ('with KL', 'cc-kl', 'cc', 70.74),
        ('with KL', 'rkd-kl', 'rkd', 71.34),
        ('with KL', 'tat-kl', 'tat', 72.41),
        ('with KL', 'tat-released-kl', 'tat', 72.41))
}
del _methods, _families, _notes, _differs
