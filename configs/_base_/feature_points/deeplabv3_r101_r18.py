_base_ = ['./deeplabv3.py', './stages_r101_r18.py']
distiller = _base_.pop('stages')
