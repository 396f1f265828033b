# Pascal VOC 2012 + Aug in the paper's protocol (DeepLabV3+, output stride 16, 513 x 513, 100
# epochs): the teacher first, then every method on both students. The report has squashed/mIoU, the
# released code's evaluation, beside mmseg's.
_base_ = ['../_base_/suites/paper_protocol.py', '../_base_/suites/voc12aug_figures.py']
title = 'Pascal VOC 2012 + Aug, DeepLabV3+ R101 -> ResNet-18 / MobileNetV2, protocol of the paper'
_figures, _notes = _base_.pop('figures'), _base_.pop('figure_notes')
for _name, _run in _base_.runs.items():
    _run.update(config=_run.config.replace('DATA', 'voc12aug'), paper=_figures.get(_name))
    _run.update(note=_notes.get(_name, _run.get('note')))
del _figures, _notes, _name, _run
