# The paper's ablation of the two views (its Table 7), and the whole map, which it could not run.
_base_ = '../_base_/suites/voc12aug_r18_paper.py'
title = 'TaT on VOC12aug, R101 -> R18: which views'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
runs = {
    f'r18-{name}': dict(
        config=f'tat/{name}_{_pair}', label=label, teacher='teacher', start='r18', paper=paper)
    for name, label, paper in (
        ('tat-anchor', 'anchor points only', 75.37),
        ('tat-patch', 'patch groups only', 75.63),
        ('tat', 'both', 75.76),
        ('tat-whole', 'whole map', None))
}
del _pair
