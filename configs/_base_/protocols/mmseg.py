# What is not of mmseg's own configs in its protocol. The learning rate is meant for 4 GPUs x 4
# images; tools/train.py --auto-scale-lr fits it to yours.
_base_ = '../runtime.py'
auto_scale_lr = dict(enable=False, base_batch_size=16)
