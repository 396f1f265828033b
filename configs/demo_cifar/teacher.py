_base_ = './student.py'
model = dict(
    backbone=dict(depth=20, widths=(16, 16, 32, 64)), head=dict(in_channels=64))
