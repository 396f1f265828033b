_base_ = ['./tat_student.py', '../../_base_/methods/kd.py']
model = _base_.pop('method')
