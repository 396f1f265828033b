# What the ablations share: the paper's protocol on VOC12aug, teacher and plain ResNet-18. Runs
# have the names of suites/voc12aug_paper.py, so that one folder (--out) serves all without
# training twice.
seeds = (0, 1, 2)
metric = 'mIoU'
baseline = 'r18'
runs = dict(
    teacher=dict(
        config='teachers/deeplabv3plus_r101-d16_1xb16-100e_voc12aug-513x513.py',
        label='ResNet-101, the teacher',
        seeds=(0, ),
        baseline=None,
        paper=78.43),
    r18=dict(
        config='students/deeplabv3plus_r18-d16_1xb16-100e_voc12aug-513x513.py',
        label='ResNet-18, plain',
        paper=72.07))
