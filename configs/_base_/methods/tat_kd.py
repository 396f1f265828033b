# TaT and KD.
_base_ = './tat.py'
from mmengine import Config  # noqa: E402

method = Config.fromfile('{{ fileDirname }}/kd.py').method
del Config
