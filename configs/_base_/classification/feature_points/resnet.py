# Where to read a classifier: the results of the stem and of the stages (of a ResNet after their
# ReLU); the last map, its mean over the positions, (B, C, 1, 1), and the logits. A method reads
# those that it needs.
_points = dict(
    stem=dict(type='ModuleOutputs', source='backbone.relu'),
    stage1=dict(type='ModuleOutputs', source='backbone.layer1'),
    stage2=dict(type='ModuleOutputs', source='backbone.layer2'),
    stage3=dict(type='ModuleOutputs', source='backbone.layer3'),
    feature=dict(type='ModuleOutputs', source='backbone.layer3'),
    embedding=dict(type='ModuleOutputs', source='neck.gap'),
    logits=dict(type='ModuleOutputs', source='head.fc'))
distiller = dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    student_recorders=dict(
        # The images' labels and numbers, for methods that ask for them.
        samples=dict(type='MethodInputs', source='mmpretrain.models.LinearClsHead.loss'),
        **_points),
    teacher_recorders=_points)
del _points
