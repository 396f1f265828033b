# A WRN's stages end before their batch norm and ReLU; the last ones belong to the feature.
_base_ = './resnet.py'
_points = dict(
    stem=dict(source='backbone.conv1'),
    feature=dict(source='backbone.relu'))
distiller = dict(student_recorders=_points, teacher_recorders=_points)
del _points
