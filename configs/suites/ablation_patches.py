# The paper's ablation of the patch size, each patch a group of its own (its Table 9). The recipe's
# patches are those of 8 x 8 pixels: with a group for each they are a run of ablation_groups too.
_base_ = '../_base_/suites/voc12aug_r18_paper.py'
title = 'TaT on VOC12aug, R101 -> R18: size of a patch'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
_view = 'model.distiller.distill_losses.loss_tat.views.0'
runs = {
    f'r18-tat-patch-{name}': dict(
        config=f'tat/tat-patch_{_pair}',
        label=f'{size} x {size} pixels of the map',
        teacher='teacher',
        start='r18',
        paper=paper,
        options=options)
    for name, size, paper, options in (
        ('size32', 32, 75.33, {f'{_view}.grid': (4, 4), f'{_view}.groups': 16}),
        ('size16', 16, 75.45, {f'{_view}.grid': (8, 8), f'{_view}.groups': 64}),
        ('groups256', 8, 75.50, {f'{_view}.groups': 256}),
        ('size4', 4, 75.47, {f'{_view}.grid': (32, 32), f'{_view}.groups': 1024}))
}
del _pair, _view
