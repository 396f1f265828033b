_base_ = './student.py'
model = dict(backbone=dict(depth=20))
