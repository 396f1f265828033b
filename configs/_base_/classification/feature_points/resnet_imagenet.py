# ImageNet's ResNets have four stages. Of a ResNet-34 and a ResNet-18 also what they give before
# their last ReLU, for knowledge review.
_base_ = './resnet.py'
_points = dict(
    stem=dict(source='backbone.maxpool'),
    feature=dict(source='backbone.layer4'))
_stages = {'stage1_pre': 1, 'stage2_pre': 2, 'stage3_pre': 3, 'feature_pre': 4}
_last = {1: 2, 2: 3, 3: 5, 4: 2}  # block of the ResNet-34's stages
distiller = dict(
    student_recorders={
        **_points,
        **{
            name: dict(type='PreActivation', source=f'backbone.layer{k}.1.relu')
            for name, k in _stages.items()
        }
    },
    teacher_recorders={
        **_points,
        **{
            name: dict(type='PreActivation', source=f'backbone.layer{k}.{_last[k]}.relu')
            for name, k in _stages.items()
        }
    })
del _points, _stages, _last
