# Every method on drawn images in CIFAR's layout, on a CPU: an hour and a half on 2 cores with
# --jobs 2.
_base_ = ['../_base_/suites/tiny_cifar.py', '../_base_/suites/classification_methods.py']
title = "Drawn images in CIFAR's layout: every method, three seeds"
runs = {
    method: dict(
        config=f'small/demo_cifar/{method}_student.py',
        label=label,
        teacher='teacher',
        start='student')
    for method, label in {
        **{method: label for method, (_, label) in _base_.pop('methods').items()},
        **_base_.pop('families')
    }.items() if method != 'tat-released-kl'
}
_base_.pop('notes')  # which are about the paper's figures
