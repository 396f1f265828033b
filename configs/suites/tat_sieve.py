# What decides whether TaT helps, first part: one seed and half of tiny's iterations for each
# setting. Direction, scale and weight are crossed; norm, views and feature point are changed one at
# a time. The second part is tat_study.py.
_base_ = './tiny.py'
title = 'TaT on generated scenes: which settings teach, one seed, 1,000 iterations'
seeds = (0, )
baseline = 'student-1000'
_loss = 'model.distiller.distill_losses.loss_tat'
_norms = dict(
    image={f'{_loss}.norm_cfg.type': 'IN', f'{_loss}.norm_cfg.affine': True},
    batch={f'{_loss}.norm_cfg.type': 'BN'},
    none={f'{_loss}.norm_cfg': None})
# Width of the tokens of each view (the teacher's map has 96 channels, a group four patches), and
# its weight.
_patch, _anchor, _whole = (384, 0.1), (96, 0.04), (96, 0.1)
_views = {
    'patch + anchor': ('tat', (_patch, _anchor)),
    'patch': ('tat-patch', (_patch, )),
    'anchor': ('tat-anchor', (_anchor, )),
    'whole': ('tat-whole', (_whole, )),
}
_scales = {'auto': None, '1': None, 'auto by 3': 1 / 3, '3 auto': 3.0}
_points = {
    'head': {},
    'head after its ReLU': {
        f'model.distiller.{who}_recorders.feature.{key}': value
        for who in ('student', 'teacher') for key, value in
        dict(type='ModuleOutputs', source='decode_head.bottleneck').items()
    },
    'stage 4': {
        f'model.distiller.loss_forward_mappings.loss_tat.{key}.recorder': 'stage4'
        for key in ('s_feature', 't_feature')
    },
}
_weights = (10, 3, 30, 1)
_settings = [
    *((side, scale, weight, 'image', 'patch + anchor', 'head')
      for side, weights in (('teacher', _weights), ('student', _weights[:1]))
      for weight in weights for scale in _scales),
    *(('teacher', 'auto', 10, 'image', 'patch + anchor', point) for point in list(_points)[1:]),
    *((side, 'auto', 10, norm, 'patch + anchor', 'head') for norm in ('batch', 'none')
      for side in ('teacher', 'student')),
    *((side, 'auto', 10, 'image', views, 'head') for views in list(_views)[1:]
      for side in ('teacher', 'student')),
    *(('student', scale, weight, 'image', 'patch + anchor', 'head') for weight in _weights[1:]
      for scale in _scales),
]
_half = dict.fromkeys(('train_cfg.max_iters', 'param_scheduler.0.end'), 1000)
runs = {
    'teacher': _base_.runs['teacher'],
    'student-1000': dict(config='small/demo/student.py', label='plain student', options=_half),
    **{
        '_'.join((side, scale, str(weight), norm, views, point)).replace(' ', ''): dict(
            config=f'small/demo/{_views[views][0]}_student.py',
            label=f'over the {side}, scale {scale}, weight {weight}, norm {norm}, {views}, {point}',
            teacher='teacher',
            start='student-1000',
            options={
                **_half,
                **_points[point],
                **_norms[norm],
                f'{_loss}.softmax_over': side,
                f'{_loss}.loss_weight': float(weight),
                **{
                    f'{_loss}.views.{k}.scale':
                    _scales[scale] * width**-0.5 if _scales[scale] else
                    1.0 if scale == '1' else scale
                    for k, (width, _) in enumerate(_views[views][1])
                },
                **{
                    f'{_loss}.views.{k}.weight': part
                    for k, (_, part) in enumerate(_views[views][1])
                },
            })
        for side, scale, weight, norm, views, point in _settings
    },
}
_base_.pop('runs')
del _loss, _norms, _patch, _anchor, _whole, _views, _scales, _points, _weights, _settings, _half
