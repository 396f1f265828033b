# The paper's Table 1: every method on seven pairs. First the networks by themselves (the teachers
# with one seed), then a table for each pair. One pair: --only resnet20 'resnet56-resnet20-*'.
_base_ = ['../_base_/suites/classification_methods.py', '../_base_/suites/cifar100_figures.py']
title = 'CIFAR-100: every method on seven pairs'
seeds = (0, 1, 2)
metric = 'accuracy/top1'
_methods, _notes = _base_.pop('methods'), _base_.pop('notes')
_base_.pop('families')  # which are there for ImageNet
_pairs, _labels, _figures = (_base_.pop(key) for key in ('pairs', 'labels', 'figures'))
_end = '1xb64-240e_cifar100'
_teachers = dict(zip((teacher for teacher, _ in _pairs), _figures.teacher))
_students = dict(zip((student for _, student in _pairs), _figures.student))
runs = {
    **{
        name: dict(
            config=f'teachers/{name}_{_end}.py',
            label=f'{_labels[name]}, teacher',
            seeds=(0, ),
            paper=paper)
        for name, paper in _teachers.items()
    },
    **{
        name: dict(
            config=f'students/{name}_{_end}.py', label=f'{_labels[name]}, plain', paper=paper)
        for name, paper in _students.items()
    },
}
for _k, (_teacher, _student) in enumerate(_pairs):
    for _method, (_folder, _label) in _methods.items():
        if (_method, _student) == ('fsp', 'wrn-40-1'):
            continue  # it needs equal widths
        runs[f'{_teacher}-{_student}-{_method}'] = dict(
            config=f'{_folder}/{_method}_{_teacher}_{_student}_{_end}.py',
            label=_label,
            group=f'{_labels[_teacher]} -> {_labels[_student]}',
            teacher=_teacher,
            start=_student,
            baseline=_student,
            paper=_figures.get(_method, [None] * len(_pairs))[_k],
            note=_notes.get(_method))
del _methods, _notes, _pairs, _labels, _figures, _end, _teachers, _students
del _k, _teacher, _student, _method, _folder, _label
