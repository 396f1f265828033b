# A teacher ResNet-110, eighteen blocks a stage: also what its stages give before their last ReLU,
# for knowledge review.
_base_ = './resnet.py'
distiller = dict(
    teacher_recorders={
        f'stage{k}_pre': dict(type='PreActivation', source=f'backbone.layer{k}.17.relu')
        for k in (1, 2, 3)
    })
