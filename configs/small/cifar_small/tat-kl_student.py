_base_ = ['./tat_student.py', '../../_base_/classification/methods/kd.py']
model = _base_.pop('method')
