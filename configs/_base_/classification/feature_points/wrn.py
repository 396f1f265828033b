# A WRN's stages end before their batch norm and ReLU; the last ones belong to the feature. Of the
# teacher also what lies between that norm, which is the next stage's first, and its ReLU, for
# knowledge review.
_base_ = './resnet.py'
_points = dict(
    stem=dict(source='backbone.conv1'),
    feature=dict(source='backbone.relu'))
distiller = dict(
    student_recorders=_points,
    teacher_recorders=dict(
        **_points,
        stage1_pre=dict(type='PreActivation', source='backbone.layer2.0.relu1'),
        stage2_pre=dict(type='PreActivation', source='backbone.layer3.0.relu1'),
        stage3_pre=dict(type='PreActivation', source='backbone.relu')))
del _points
