# Pascal VOC 2012 + Aug in mmseg's protocol (DeepLabV3, 512 x 512, 40k iterations): every method,
# both students. The teacher is mmseg's published ResNet-101 (77.92 mIoU). The paper's figures are
# those of its own training: DeepLabV3+, 100 epochs.
_base_ = ['../_base_/suites/mmseg_protocol.py', '../_base_/suites/voc12aug_figures.py']
title = 'Pascal VOC 2012 + Aug, DeepLabV3 R101 -> ResNet-18 / MobileNetV2, mmseg 40k protocol'
_figures, _notes = _base_.pop('figures'), _base_.pop('figure_notes')
for _name, _run in _base_.runs.items():
    _run.update(config=_run.config.replace('DATA', 'voc12aug'), paper=_figures.get(_name))
    _run.update(note=_notes.get(_name, _run.get('note')))
del _figures, _notes, _name, _run
