# Where to read a DeepLabV3+: the decoder's last 3x3 convolution before its ReLU, a map of 1/4 of
# the image, the ASPP's result before its ReLU, and the logits.
_base_ = './deeplabv3.py'
_points = dict(
    feature=dict(source='decode_head.sep_bottleneck.1.pointwise_conv.activate'),
    aspp=dict(type='PreActivation', source='decode_head.bottleneck.activate'))
distiller = dict(student_recorders=_points, teacher_recorders=_points)
del _points
