# The paper's ablation of the patch size, each patch a group of its own (its Table 9).
_base_ = '../_base_/suites/voc12aug_r18_paper.py'
title = 'TaT on VOC12aug, R101 -> R18: size of a patch'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
_view = 'model.distiller.distill_losses.loss_tat.views.0'
runs = {
    f'r18-tat-patch-size{size}': dict(
        config=f'tat/tat-patch_{_pair}',
        label=f'{size} x {size} pixels of the map',
        teacher='teacher',
        start='r18',
        paper=paper,
        options={f'{_view}.grid': (128 // size, 128 // size), f'{_view}.groups': (128 // size)**2})
    for size, paper in ((32, 75.33), (16, 75.45), (8, 75.50), (4, 75.47))
}
del _pair, _view
