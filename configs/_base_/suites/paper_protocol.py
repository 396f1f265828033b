# The teacher, then every method on both students, in the paper's protocol; a suite puts its data in
# the names.
_base_ = './methods.py'
seeds = (0, 1, 2)
metric = 'mIoU'

runs = dict(
    teacher=dict(
        config='teachers/deeplabv3plus_r101-d16_1xb16-100e_DATA-513x513.py',
        label='ResNet-101, the teacher',
        seeds=(0, ),
        baseline=None))
for _student, _label, _batch in (('r18', 'ResNet-18', 16), ('mobilenet-v2', 'MobileNetV2', 12)):
    _name = f'{_student}-d16_1xb{_batch}-100e_DATA-513x513.py'
    runs[_student] = dict(config=f'students/deeplabv3plus_{_name}', label=f'{_label}, plain')
    for _method, (_folder, _title) in {**_base_.methods, **_base_.families}.items():
        runs[f'{_student}-{_method}'] = dict(
            config=f'{_folder}/{_method}_deeplabv3plus_r101-d16_{_name}',
            label=f'{_label}, {_title}',
            note=_base_.notes.get(_method),
            teacher='teacher',
            baseline=_student,
            start=_student)
del _student, _label, _batch, _name, _method, _folder, _title
_base_.pop('methods')
_base_.pop('families')
_base_.pop('notes')
