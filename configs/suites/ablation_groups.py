# The paper's ablation of the number of groups, 256 patches of 8 x 8 pixels (its Table 10). 64 are
# the recipe's.
_base_ = '../_base_/suites/voc12aug_r18_paper.py'
title = 'TaT on VOC12aug, R101 -> R18: number of groups'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
_groups = 'model.distiller.distill_losses.loss_tat.views.0.groups'
runs = {
    f'r18-{name}': dict(
        config=f'tat/tat-patch_{_pair}',
        label=f'{groups} groups',
        teacher='teacher',
        start='r18',
        paper=paper,
        options=options)
    for name, groups, paper, options in (
        ('tat-patch-groups1', 1, 75.26, {_groups: 1}),
        ('tat-patch-groups32', 32, 75.57, {_groups: 32}),
        ('tat-patch', 64, 75.63, {}),
        ('tat-patch-groups128', 128, 75.62, {_groups: 128}),
        ('tat-patch-groups256', 256, 75.50, {_groups: 256}))
}
del _pair, _groups
