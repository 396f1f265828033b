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


@pytest.fixture
def runner():
    """What the hook looks at: a recipe for 16 images, a batch of 4, 7 classes."""
    model = nn.Module()
    model.decode_head = nn.Module()
    model.decode_head.num_classes = 7
    return SimpleNamespace(
        cfg=ConfigDict(
            auto_scale_lr=dict(enable=False, base_batch_size=16),
            optim_wrapper=dict(optimizer=dict(lr=0.01)),
            train_dataloader=dict(batch_size=4),
        ),
        train_dataloader=SimpleNamespace(
            batch_sampler=SimpleNamespace(batch_size=4),
            dataset=SimpleNamespace(metainfo=dict(classes=tuple('abcdefg'))),
        ),
        optim_wrapper=SimpleNamespace(_accumulative_counts=1),
        hooks=[],
        logger=MMLogger.get_current_instance(),
        param_schedulers=None,
        val_loop=None,
        message_hub=MessageHub.get_instance('recipe_check'),
        model=model,
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


def test_another_batch_names_the_scaled_learning_rate(told):
    (message,) = told()
    assert re.search(r'a batch of 4 \(1 process x 4 images\)', message)
    assert 'the learning rate 0.01 is meant for 16' in message
    assert 'scaled linearly it is 0.0025. Train with 4 processes (torchrun, ' in message
    assert message.endswith(', or --auto-scale-lr')


def test_the_versions_go_into_the_checkpoints(told, runner):
    told()
    versions = runner.message_hub.state_dict()['runtime_info']['versions']
    assert versions['mmrazor_tat'] == mmrazor_tat.__version__ and 'mmseg' in versions


def test_accumulated_iterations_count(told, runner):
    runner.optim_wrapper._accumulative_counts = 2
    (message,) = told()
    assert '(1 process x 4 images x 2 accumulated iterations)' in message
    # The flag would scale by 4 / 16.
    assert 'set optim_wrapper.optimizer.lr=0.005 yourself, without --auto-scale-lr' in message


def test_the_flag_with_accumulated_iterations_is_pointed_out(told, runner):
    runner.optim_wrapper._accumulative_counts = 4
    runner.cfg.auto_scale_lr.update(enable=True)
    assert 'auto_scale_lr has scaled it by processes x images alone' in told()[0]
    assert 'set optim_wrapper.optimizer.lr=0.01 yourself' in told()[0]


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


@pytest.mark.parametrize('is_distilled', [False, True])
def test_data_of_other_classes_are_refused(told, runner, is_distilled):
    runner.model.decode_head.num_classes = 21
    if is_distilled:
        student, runner.model = runner.model, nn.Module()
        runner.model.student = student
    message = r'7 classes \(a, b, c, ...\), decode_head.num_classes is 21: set it to 7'
    with pytest.raises(ValueError, match=message):
        told()


def test_validation_data_of_other_classes_are_refused_too(told, runner):
    runner.cfg.val_dataloader = dict(batch_size=1)
    dataset = SimpleNamespace(metainfo=dict(classes=tuple('abc')))
    runner.val_dataloader = SimpleNamespace(dataset=dataset)
    with pytest.raises(ValueError, match='the validation data has 3 classes .a, b, c, ....'):
        told()


def test_an_auxiliary_head_is_looked_at_too(told, runner):
    head = nn.Module()
    head.num_classes = 19
    runner.model.auxiliary_head = nn.ModuleList([head])
    with pytest.raises(ValueError, match='auxiliary_head.num_classes is 19'):
        told()


def test_the_head_of_a_classifier_is_looked_at_too(told, runner):
    head, runner.model = nn.Module(), nn.Module()
    runner.model.head = head
    head.num_classes = 100
    with pytest.raises(
        ValueError, match=r'7 classes \(a, b, c, ...\), head.num_classes is 100: set it'
    ):
        told()
    head.num_classes = 7
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
        (
            129,
            {},
            r'gives batches of 1 \(the last of an epoch\) to a process: set .*drop_last=True$',
        ),
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
    loader = DataLoader(range(images), size, sampler=sampler, drop_last=drop_last)
    runner.train_dataloader = loader
    runner.cfg.auto_scale_lr.base_batch_size = size
    runner.model.distiller = nn.Module()
    runner.model.distiller.distill_losses = nn.ModuleDict(
        dict(loss_sp=SPLoss(), loss_at=nn.Module())
    )
    if text is None:
        assert told() == []
    else:
        start = r"^distill_losses\['loss_sp'\] compares the images of a batch and needs 2, "
        with pytest.raises(ValueError, match=f'{start}train_dataloader {text}'):
            told()
