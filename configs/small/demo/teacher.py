_base_ = './student.py'
model = dict(
    backbone=dict(base_channels=24, stem_channels=24),
    decode_head=dict(in_channels=192, channels=96))
