# The paper's mIoU on VOC, by run, and what to know beside it.
_base_ = './anchor_note.py'
figures = {
    'teacher': 78.43,
    'r18': 72.07, 'r18-kd': 73.74, 'r18-at': 73.01, 'r18-fitnet': 73.31, 'r18-ofd': 73.98,
    'r18-ickd': 75.01, 'r18-tat': 75.76, 'r18-tat-patch': 75.63, 'r18-tat-anchor': 75.27,
    'mobilenet-v2': 68.46, 'mobilenet-v2-kd': 71.73, 'mobilenet-v2-at': 71.39,
    'mobilenet-v2-fitnet': 69.23, 'mobilenet-v2-ofd': 72.30, 'mobilenet-v2-ickd': 72.79,
    'mobilenet-v2-tat': 73.85,
}
figure_notes = {'r18-tat-anchor': _base_.pop('anchor_note')}
