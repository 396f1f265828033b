# The results of the backbone's stages before their last ReLU: of a ResNet-101 and a ResNet-18.
stages = dict(
    teacher_recorders=dict(
        stage1=dict(type='PreActivation', source='backbone.layer1.2.relu'),
        stage2=dict(type='PreActivation', source='backbone.layer2.3.relu'),
        stage3=dict(type='PreActivation', source='backbone.layer3.22.relu'),
        stage4=dict(type='PreActivation', source='backbone.layer4.2.relu')),
    student_recorders={
        f'stage{k}': dict(type='PreActivation', source=f'backbone.layer{k}.1.relu')
        for k in (1, 2, 3, 4)
    })
