_base_ = ['./deeplabv3plus.py', './stages_r101_mobilenet-v2.py']
distiller = _base_.pop('stages')
