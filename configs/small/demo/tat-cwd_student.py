_base_ = ['./tat_student.py', '../../_base_/methods/cwd.py']
model = _base_.pop('method')
