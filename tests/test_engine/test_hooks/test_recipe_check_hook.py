"""A batch that the learning rate is not meant for, and data of other classes than the head's."""

import re
import sys
from types import SimpleNamespace

import pytest
from mmengine import ConfigDict
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.logging import MessageHub, MMLogger
from torch import nn
from torch.utils.data import DataLoader

import mmrazor_tat
from mmrazor_tat.engine.hooks import RecipeCheckHook
from mmrazor_tat.models.losses import SPLoss
from mmrazor_tat.utils.environment import versions


def network(name: str = 'decode_head', classes: int = 7) -> nn.Module:
    model = nn.Module()
    model.add_module(name, nn.Module())
    getattr(model, name).num_classes = classes
    return model


def loader(classes: str) -> SimpleNamespace:
    dataset = SimpleNamespace(metainfo=dict(classes=tuple(classes)))
    return SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=4), dataset=dataset)


@pytest.fixture
def runner():
    """What the hook looks at: a recipe for 16 images, a batch of 4, 7 classes."""
    cfg = ConfigDict(
        auto_scale_lr=dict(enable=False, base_batch_size=16),
        optim_wrapper=dict(optimizer=dict(lr=0.01)),
        train_dataloader=dict(batch_size=4),
    )
    return SimpleNamespace(
        cfg=cfg,
        train_dataloader=loader('abcdefg'),
        optim_wrapper=SimpleNamespace(_accumulative_counts=1),
        logger=MMLogger.get_current_instance(),
        message_hub=MessageHub.get_instance('recipe_check'),
        model=network(),
        hooks=[],
        param_schedulers=None,
        val_loop=None,
    )


@pytest.fixture
def told(runner, caplog):
    """A function that runs the hook and gives its warnings."""

    def told():
        logger = MMLogger.get_current_instance()
        logger.addHandler(caplog.handler)
        try:
            RecipeCheckHook().before_train(runner)
        finally:
            logger.removeHandler(caplog.handler)
        return [record.message for record in caplog.records if record.levelname == 'WARNING']

    return told


def test_another_batch_names_the_scaled_learning_rate(told, runner):
    (message,) = told()
    assert re.search(r'a batch of 4 \(1 process x 4 images\)', message)
    assert 'the learning rate 0.01 is meant for 16' in message
    assert 'scaled linearly it is 0.0025. Train with 4 processes (torchrun, ' in message
    assert message.endswith(', or --auto-scale-lr')
    # The versions go into the checkpoints.
    versions = runner.message_hub.state_dict()['runtime_info']['versions']
    assert versions['mmrazor_tat'] == mmrazor_tat.__version__ and 'mmseg' in versions


def test_several_processes_count(told, runner, monkeypatch):
    monkeypatch.setattr('mmrazor_tat.engine.hooks.recipe_check_hook.get_world_size', lambda: 2)
    assert 'a batch of 8 (2 processes x 4 images)' in told()[0]
    monkeypatch.setattr('mmrazor_tat.engine.hooks.recipe_check_hook.get_world_size', lambda: 4)
    assert len(told()) == 1  # 4 x 4 is what is meant: nothing more is said


@pytest.mark.parametrize(
    'change',
    [
        lambda runner: setattr(runner.train_dataloader.batch_sampler, 'batch_size', 16),
        lambda runner: setattr(runner.optim_wrapper, '_accumulative_counts', 4),
        lambda runner: runner.cfg.auto_scale_lr.update(enable=True),
        lambda runner: runner.cfg.pop('auto_scale_lr'),
    ],
)
def test_nothing_is_said_of(told, runner, change):
    change(runner)
    assert told() == []


@pytest.mark.parametrize(
    ('model', 'message'),
    [
        (network(classes=21), r'7 classes \(a, b, c, ...\), decode_head.num_classes is 21: set it'),
        (network('head', 100), r'7 classes \(a, b, c, ...\), head.num_classes is 100: set it to 7'),
        (network('auxiliary_head', 19), 'auxiliary_head.num_classes is 19'),
    ],
)
@pytest.mark.parametrize('is_distilled', [False, True])
def test_data_of_other_classes_are_refused(told, runner, model, message, is_distilled):
    runner.model = model
    if is_distilled:
        runner.model = nn.Module()
        runner.model.student = model
    with pytest.raises(ValueError, match=message):
        told()


def test_validation_data_of_other_classes_are_refused_too(told, runner):
    runner.cfg.val_dataloader = dict(batch_size=1)
    runner.val_dataloader = loader('abc')
    with pytest.raises(ValueError, match='the validation data has 3 classes .a, b, c, ....'):
        told()


def test_packages_that_are_not_used_are_not_named(monkeypatch):
    """mmpretrain is no dependency: its version counts where it is imported."""
    monkeypatch.delitem(sys.modules, 'mmpretrain', raising=False)
    assert 'mmpretrain' not in versions() and 'mmpretrain' not in versions()
    monkeypatch.setitem(sys.modules, 'mmpretrain', SimpleNamespace(__version__='9.9'))
    assert versions()['mmpretrain'] == versions()['mmpretrain'] == '9.9'
    assert versions()['mmseg'] == versions()['mmseg']


def test_both_in_a_run(repo, here, toy_options, tmp_path):
    """Through the command line: the warning, the scaled learning rate, and the error."""
    train = repo / 'tools/train.py', repo / 'configs/small/demo/student.py', '--work-dir', tmp_path
    meant = ['auto_scale_lr.base_batch_size=8', 'auto_scale_lr.enable=False']
    log = here(*train, '--cfg-options', *toy_options, *meant)
    assert 'a batch of 2 (1 process x 2 images), but the learning rate 0.002 is meant for 8' in log
    log = here(*train, '--auto-scale-lr', '--cfg-options', *toy_options, *meant)
    assert 'but the learning rate' not in log
    assert 'current batch size is 2. Scaling the original LR by 0.25' in log
    # Also where the config does not ask for it.
    other = ['model.decode_head.num_classes=21', 'default_hooks.recipe_check=None']
    log = here(*train, '--cfg-options', *toy_options, *other, ok=False)
    assert 'train: the training data has 7 classes (background, ' in log
    assert 'Iter(train)' not in log
    # Without the checks it trains: the labels of 7 classes fit 21 channels.
    log = here(*train, '--no-checks', '--cfg-options', *toy_options, *other)
    assert 'Iter(train)' in log and 'training data has 7 classes' not in log


@pytest.mark.parametrize(
    'images, settings, text',
    [
        (129, {}, r'gives batches of 1 \(the last of an epoch\) to a process: .*drop_last=True$'),
        (130, {}, None),
        (129, dict(drop_last=True), None),
        (129, dict(endless=True), None),
        (8, dict(batch_size=1), 'gives batches of 1 to a process: set .*batch_size to 2 or more$'),
    ],
)
def test_a_batch_too_small_for_a_loss_that_compares_images(told, runner, images, settings, text):
    sampler = DefaultSampler(range(images), shuffle=False)
    if settings.get('endless'):
        sampler = InfiniteSampler(range(images), shuffle=False)
    size, drop_last = settings.get('batch_size', 64), settings.get('drop_last', False)
    runner.train_dataloader = DataLoader(range(images), size, sampler=sampler, drop_last=drop_last)
    runner.cfg.auto_scale_lr.base_batch_size = size
    runner.model.distiller = nn.Module()
    losses = nn.ModuleDict(dict(loss_sp=SPLoss(), loss_at=nn.Module()))
    runner.model.distiller.distill_losses = losses
    if text is None:
        assert told() == []
    else:
        start = r"^distill_losses\['loss_sp'\] compares the images of a batch and needs 2, "
        with pytest.raises(ValueError, match=f'{start}train_dataloader {text}'):
            told()
