# ImageNet's ResNets have four stages.
_base_ = './resnet.py'
_points = dict(
    stem=dict(source='backbone.maxpool'),
    feature=dict(source='backbone.layer4'))
distiller = dict(student_recorders=_points, teacher_recorders=_points)
del _points
