_base_ = ['./pair.py', '../../_base_/classification/methods/pkt.py']
model = _base_.pop('method')
