# The paper's ablation of the anchor points' pooling kernel (its Table 8).
_base_ = '../_base_/suites/voc12aug_r18_paper.py'
title = 'TaT on VOC12aug, R101 -> R18: kernel of the anchor points'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
runs = {
    f'r18-tat-anchor-kernel{kernel}': dict(
        config=f'tat/tat-anchor_{_pair}',
        label=f'kernel {kernel}',
        teacher='teacher',
        start='r18',
        paper=paper,
        options={'model.distiller.distill_losses.loss_tat.views.0.kernel': kernel})
    for kernel, paper in ((2, 75.37), (4, 75.27), (8, 74.79), (16, 74.56))
}
del _pair
