# What the paper leaves open: which projections are learnt (its ablation of these is on ImageNet),
# the side of the softmax and the scale of its logits. theta projects the teacher's feature, gamma
# the student's for the logits, phi the student's for the values; a raw feature stands for the one
# that is left out.
_base_ = '../_base_/suites/voc12aug_r18_paper.py'
title = 'TaT on VOC12aug, R101 -> R18: projections and softmax'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
_loss = 'model.distiller.distill_losses.loss_tat'
runs = {
    f'r18-{name}': dict(
        config=f'tat/tat_{_pair}', label=label, teacher='teacher', start='r18', options=options)
    for name, label, options in (
        ('tat-no-projection', 'no projection', {f'{_loss}.projections': []}),
        ('tat-phi', 'phi', {f'{_loss}.projections': ['phi']}),
        ('tat-gamma-phi', 'gamma + phi', {f'{_loss}.projections': ['gamma', 'phi']}),
        ('tat', 'theta + gamma + phi', {}),
        ('tat-softmax-student', 'softmax over the student', {f'{_loss}.softmax_over': 'student'}),
        ('tat-scale1', 'logits without a scale', {f'{_loss}.scale': 1.0}))
}
del _pair, _loss
