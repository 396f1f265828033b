# The authors' width for ResNet-18.
_base_ = './review_kd_four_stages.py'
method = dict(distiller=dict(connectors=dict(fusion=dict(mid_channel=512))))
