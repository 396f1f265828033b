# A VGG has five blocks: the first is the stem, the last what the classifier sees.
_base_ = './resnet.py'
_points = dict(
    stem=dict(source='backbone.block1'),
    stage1=dict(source='backbone.block2'),
    stage2=dict(source='backbone.block3'),
    stage3=dict(source='backbone.block4'),
    feature=dict(source='backbone.block5'))
distiller = dict(student_recorders=_points, teacher_recorders=_points)
del _points
