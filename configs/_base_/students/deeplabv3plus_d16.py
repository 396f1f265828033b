# What the paper's networks share: crop 513, 256 channels, the ASPP of output stride 16, no
# auxiliary head.
student = dict(
    data_preprocessor=dict(size=(513, 513)),
    decode_head=dict(channels=256, dilations=(1, 6, 12, 18)),
    auxiliary_head=None)
