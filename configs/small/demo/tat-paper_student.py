_base_ = ['./tat_student.py', '../../_base_/methods/tat_paper.py']
model = _base_.pop('method')
