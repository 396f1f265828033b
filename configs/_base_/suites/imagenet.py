# ImageNet, ResNet-34 (mmpretrain's published weights) -> ResNet-18: what its suites share. Runs
# have the same names in all of them, so that one folder (--out) serves all without training twice.
seeds = (0, 1, 2)
metric = 'accuracy/top1'
baseline = 'resnet18'
runs = dict(
    resnet18=dict(
        config='students/resnet18_8xb256-100e_imagenet.py',
        label='ResNet-18, plain',
        paper=70.04))
