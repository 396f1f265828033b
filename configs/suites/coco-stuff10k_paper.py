# COCO-Stuff 10k in the paper's protocol (DeepLabV3+, output stride 16, 513 x 513, 100 epochs): the
# teacher first, then every method on both students. The report has squashed/mIoU, the released
# code's evaluation, beside mmseg's.
_base_ = ['../_base_/suites/paper_protocol.py', '../_base_/suites/coco-stuff10k_figures.py']
title = 'COCO-Stuff 10k, DeepLabV3+ R101 -> ResNet-18 / MobileNetV2, protocol of the paper'
_base_.runs.teacher.config = _base_.runs.teacher.config.replace('100e', '200e')
_figures = _base_.pop('figures')
for _name, _run in _base_.runs.items():
    _run.update(config=_run.config.replace('DATA', 'coco-stuff10k'), paper=_figures.get(_name))
del _figures, _name, _run
