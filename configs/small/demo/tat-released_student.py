_base_ = ['./tat_student.py', '../../_base_/methods/tat_released.py']
_base_.method.architecture.decode_head.loss_decode.loss_weight = 1 / 8  # the batch
model = _base_.pop('method')
