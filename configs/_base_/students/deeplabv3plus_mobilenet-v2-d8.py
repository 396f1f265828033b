_base_ = './deeplabv3_mobilenet-v2-d8.py'
student = dict(decode_head=dict(c1_in_channels=24))
