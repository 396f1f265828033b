# The paper's ablation of the two views (its Table 7), and the whole map, which it could not run.
_base_ = ['../_base_/suites/voc12aug_r18_paper.py', '../_base_/suites/anchor_note.py']
title = 'TaT on VOC12aug, R101 -> R18: which views'
_pair = 'deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
runs = {
    f'r18-{name}': dict(
        config=f'tat/{name}_{_pair}',
        label=label,
        teacher='teacher',
        start='r18',
        paper=paper,
        note=note)
    for name, label, paper, note in (
        ('tat-anchor', 'anchor points only', 75.27, _base_.pop('anchor_note')),
        ('tat-patch', 'patch groups only', 75.63, None),
        ('tat', 'both', 75.76, None),
        ('tat-whole', 'whole map', None, None))
}
del _pair
