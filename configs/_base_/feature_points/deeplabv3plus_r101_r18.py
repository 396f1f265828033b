_base_ = ['./deeplabv3plus.py', './stages_r101_r18.py']
distiller = _base_.pop('stages')
