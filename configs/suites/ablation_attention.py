# What the paper leaves open: the side of the softmax (the released code's is the teacher), and
# which projections are learnt (its ablation of these is on ImageNet). Without gamma the student's
# raw feature is the key; without phi it is the value.
_base_ = '../_base_/suites/voc12aug_r18_paper.py'
title = 'TaT on VOC12aug, R101 -> R18: softmax and projections'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
_loss = 'model.distiller.distill_losses.loss_tat'
runs = {
    f'r18-{name}': dict(
        config=f'tat/tat_{_pair}', label=label, teacher='teacher', start='r18', options=options)
    for name, label, options in (
        ('tat', 'softmax over the student, gamma + phi + theta', {}),
        ('tat-softmax-teacher', 'softmax over the teacher', {f'{_loss}.softmax_over': 'teacher'}),
        ('tat-gamma-phi', 'gamma + phi', {f'{_loss}.projections': ['gamma', 'phi']}),
        ('tat-no-projection', 'no projection', {f'{_loss}.projections': []}))
}
del _pair, _loss
