# A VGG has five blocks: the first is the stem, the last what the classifier sees. Of a teacher
# VGG-13 also what blocks give before their last ReLU, for knowledge review.
_base_ = './resnet.py'
_points = dict(
    stem=dict(source='backbone.block1'),
    stage1=dict(source='backbone.block2'),
    stage2=dict(source='backbone.block3'),
    stage3=dict(source='backbone.block4'),
    feature=dict(source='backbone.block5'))
distiller = dict(
    student_recorders=_points,
    teacher_recorders=dict(
        **_points,
        stage1_pre=dict(type='PreActivation', source='backbone.block2.5'),
        stage2_pre=dict(type='PreActivation', source='backbone.block3.5'),
        stage3_pre=dict(type='PreActivation', source='backbone.block4.5'),
        feature_pre=dict(type='PreActivation', source='backbone.block5.5')))
del _points
