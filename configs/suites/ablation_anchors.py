# The paper's ablation of the anchor points' pooling kernel (its Table 8). Kernel 4 is the recipe's.
_base_ = ['../_base_/suites/voc12aug_r18_paper.py', '../_base_/suites/anchor_note.py']
title = 'TaT on VOC12aug, R101 -> R18: kernel of the anchor points'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
_kernel = 'model.distiller.distill_losses.loss_tat.views.0.kernel'
runs = {
    f'r18-{name}': dict(
        config=f'tat/tat-anchor_{_pair}',
        label=f'kernel {kernel}',
        teacher='teacher',
        start='r18',
        paper=paper,
        options=options,
        note=note)
    for name, kernel, paper, options, note in (
        ('tat-anchor-kernel2', 2, 75.37, {_kernel: 2}, None),
        ('tat-anchor', 4, 75.27, {}, _base_.pop('anchor_note')),
        ('tat-anchor-kernel8', 8, 74.79, {_kernel: 8}, None),
        ('tat-anchor-kernel16', 16, 74.56, {_kernel: 16}, None))
}
del _pair, _kernel
