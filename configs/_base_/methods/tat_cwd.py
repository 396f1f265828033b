# TaT and CWD.
_base_ = './tat.py'
from mmengine import Config  # noqa: E402

method = Config.fromfile('{{ fileDirname }}/cwd.py').method
del Config
