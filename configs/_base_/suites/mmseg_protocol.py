# Every method on both students in mmseg's protocol; a suite puts its data in the names.
_base_ = './methods.py'
seeds = (0, 1, 2)
metric = 'mIoU'

runs = {}
for _student, _label in (('r18', 'ResNet-18'), ('mobilenet-v2', 'MobileNetV2')):
    _name = f'{_student}-d8_4xb4-40k_DATA-512x512.py'
    runs[_student] = dict(config=f'students/deeplabv3_{_name}', label=f'{_label}, plain')
    for _method, (_folder, _title) in _base_.methods.items():
        runs[f'{_student}-{_method}'] = dict(
            config=f'{_folder}/{_method}_deeplabv3_r101-d8_{_name}',
            label=f'{_label}, {_title}',
            note=_base_.notes.get(_method),
            baseline=_student,
            start=_student)
del _student, _label, _name, _method, _folder, _title
_base_.pop('methods')
_base_.pop('families')  # which are there in the paper's protocol
_base_.pop('notes')
