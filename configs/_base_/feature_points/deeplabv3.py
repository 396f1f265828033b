# Where to read a DeepLabV3 (or a PSP head): the head's last 3x3 convolution before its ReLU, and
# the logits. A method reads those that it needs.
_points = dict(
    feature=dict(type='PreActivation', source='decode_head.bottleneck.activate'),
    logits=dict(type='ModuleOutputs', source='decode_head.conv_seg'))

distiller = dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    student_recorders=_points,
    teacher_recorders=_points)
del _points
