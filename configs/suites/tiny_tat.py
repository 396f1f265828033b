# On whose side TaT's softmax is, the paper's or that of the authors' released code, on the demo's
# generated scenes, on a CPU.
_base_ = './tiny.py'
title = "Generated scenes: the side of TaT's softmax"
runs = {
    **{name: _base_.runs[name] for name in ('teacher', 'student', 'fitnet', 'tat')},
    'tat-softmax-teacher': dict(
        config='demo/tat_student.py',
        label='TaT, softmax over the teacher',
        teacher='teacher',
        start='student',
        options={'model.distiller.distill_losses.loss_tat.softmax_over': 'teacher'}),
}
_base_.pop('runs')
