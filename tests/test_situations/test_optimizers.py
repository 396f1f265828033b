"""The optimizer of a distillation: the student's as in its plain training."""

import itertools

import pytest
from mmengine import Config
from mmengine.runner import Runner

_NUMBERS = itertools.count()


def mae(cfg):
    """The backbone of MAE with layer-wise decay, as mmseg's configs have it."""
    width = 8 * (1 if cfg.model.backbone.base_channels == 8 else 2)
    cfg.model.backbone = dict(
        type='MAE',
        img_size=(48, 48),
        patch_size=8,
        embed_dims=width,
        num_layers=4,
        num_heads=2,
        mlp_ratio=2,
        out_indices=[0, 1, 2, 3],
        init_values=1.0,
    )
    for head in (cfg.model.decode_head, cfg.model.auxiliary_head):
        head.in_channels = width
    cfg.model.test_cfg = dict(mode='slide', crop_size=(48, 48), stride=(32, 32))
    cfg.optim_wrapper = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
        constructor='LayerDecayOptimizerConstructor',
        paramwise_cfg=dict(num_layers=4, layer_decay_rate=0.65),
    )


def keys(cfg):
    """What mmseg's configs write of parameters of a plain network."""
    cfg.optim_wrapper = dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.01),
        paramwise_cfg=dict(
            norm_decay_mult=0.0,
            bias_lr_mult=2.0,
            custom_keys={
                'backbone': dict(lr_mult=0.1),
                'backbone.layer1': dict(lr_mult=0.3, decay_mult=0.5),
                'head': dict(lr_mult=10.0),
                'norm': dict(decay_mult=0.0),
            },
        ),
    )


def rates(config) -> dict[str, tuple[float, float]]:
    """(learning rate, weight decay) by the name of every parameter that the optimizer has."""
    cfg = Config.fromfile(config)
    cfg.log_level, cfg.experiment_name = 'ERROR', f'rates_{next(_NUMBERS)}'
    runner = Runner.from_cfg(cfg)
    wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    names = {id(p): name for name, p in runner.model.named_parameters()}
    found = {}
    for group in wrapper.optimizer.param_groups:
        for parameter in group['params']:
            assert names[id(parameter)] not in found
            found[names[id(parameter)]] = group['lr'], group['weight_decay']
    return found


@pytest.mark.parametrize('change', [mae, keys], ids=['layers', 'keys'])
def test_every_parameter_has_the_rate_of_the_plain_training(pair, change):
    files = pair(change)
    plain, distilled = rates(files.student), rates(files.recipe)
    assert len({rate for rate, _ in plain.values()}) >= 3
    student = {k.removeprefix('architecture.'): v for k, v in distilled.items() if 'arch' in k}
    assert student == plain
    others = {key: value for key, value in distilled.items() if not key.startswith('architecture')}
    assert others and all(key.startswith('distiller.') for key in others)
    base = Config.fromfile(files.student).optim_wrapper.optimizer
    assert set(others.values()) == {(base.lr, base.weight_decay)}


def test_keys_that_name_the_distiller(pair):
    def change(cfg):
        keys(cfg)
        cfg.optim_wrapper.paramwise_cfg.custom_keys.update(
            {
                'distiller': dict(lr_mult=4.0),
                'loss_tat.gamma': dict(lr_mult=5.0),
                'architecture.decode_head.conv_seg': dict(lr_mult=7.0),
            }
        )

    found = rates(pair(change).recipe)
    by_key = {
        'distiller.distill_losses.loss_tat.gamma.conv.weight': 0.05,
        'distiller.distill_losses.loss_tat.phi.conv.weight': 0.04,
        'architecture.decode_head.conv_seg.weight': 0.07,
        'architecture.decode_head.bottleneck.conv.weight': 0.1,
        'architecture.backbone.layer1.0.conv1.weight': 0.003,
        'architecture.backbone.layer2.0.conv1.weight': 0.001,
    }
    assert {key: found[key][0] for key in by_key} == pytest.approx(by_key)


def test_layer_decay_trains_and_resumes(pair, call, tmp_path):
    files = pair(mae)
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'run')
    assert ended.code is None, ended.line
    more = '--cfg-options', 'train_cfg.max_iters=4'
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'run', '--resume', *more)
    assert ended.code is None and 'Iter(train) [4/4]' in ended.printed, ended.line
