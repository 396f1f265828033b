# The paper's ablation of the number of groups, 256 patches of 8 x 8 pixels (its Table 10).
_base_ = '../_base_/suites/voc12aug_r18_paper.py'
title = 'TaT on VOC12aug, R101 -> R18: number of groups'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
runs = {
    f'r18-tat-patch-groups{groups}': dict(
        config=f'tat/tat-patch_{_pair}',
        label=f'{groups} groups',
        teacher='teacher',
        start='r18',
        paper=paper,
        options={'model.distiller.distill_losses.loss_tat.views.0.groups': groups})
    for groups, paper in ((1, 75.26), (32, 75.57), (64, 75.63), (128, 75.62), (256, 75.50))
}
del _pair
