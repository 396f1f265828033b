_base_ = ['./tat_student.py', '../../_base_/classification/methods/tat_paper.py']
model = _base_.pop('method')
