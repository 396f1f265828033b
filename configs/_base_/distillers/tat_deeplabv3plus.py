# tat.py on the last 3x3 conv of mmseg's DeepLabV3+ decoder, before its ReLU: a map of 1/4 of the
# image.
_base_ = './tat.py'
_feature = dict(source='decode_head.sep_bottleneck.1.pointwise_conv.activate')
distiller = dict(
    student_recorders=dict(feature=_feature), teacher_recorders=dict(feature=_feature))
del _feature
