_base_ = './crd.py'
method = dict(distiller=dict(distill_losses=dict(loss_crd=dict(num_samples=1281167))))
