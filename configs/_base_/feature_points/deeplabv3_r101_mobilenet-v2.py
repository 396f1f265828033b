_base_ = ['./deeplabv3.py', './stages_r101_mobilenet-v2.py']
distiller = _base_.pop('stages')
