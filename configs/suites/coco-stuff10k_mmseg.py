# COCO-Stuff 10k in mmseg's protocol (DeepLabV3, 512 x 512, 40k iterations): every method, both
# students. The teacher is mmseg's published ResNet-101 (37.81 mIoU). The paper's figures are those
# of its own training: DeepLabV3+, 100 epochs.
_base_ = ['../_base_/suites/mmseg_protocol.py', '../_base_/suites/coco-stuff10k_figures.py']
title = 'COCO-Stuff 10k, DeepLabV3 R101 -> ResNet-18 / MobileNetV2, mmseg 40k protocol'
_figures = _base_.pop('figures')
for _name, _run in _base_.runs.items():
    _run.update(config=_run.config.replace('DATA', 'coco-stuff10k'), paper=_figures.get(_name))
del _figures, _name, _run
