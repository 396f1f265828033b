_base_ = './deeplabv3_r18-d8.py'
student = dict(decode_head=dict(c1_in_channels=64, c1_channels=12))
