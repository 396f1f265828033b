"""A recipe's config without its distillation; no network is built."""

import copy

import pytest
from mmengine import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmrazor.registry import HOOKS

from mmrazor_tat import config_path
from mmrazor_tat.engine.runner.guarded_runner import GUARDS
from mmrazor_tat.export import plain_config
from mmrazor_tat.utils.configs import config_file

MMSEG = 'tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py'
PAPER = 'kd/kd_deeplabv3plus_r101-d16_mobilenet-v2-d16_1xb12-100e_coco-stuff10k-513x513.py'
PAIRS = {
    MMSEG: 'students/deeplabv3_r18-d8_4xb4-40k_voc12aug-512x512.py',
    PAPER: 'students/deeplabv3plus_mobilenet-v2-d16_1xb12-100e_coco-stuff10k-513x513.py',
    'ofd/ofd_deeplabv3_r101-d8_mobilenet-v2-d8_4xb4-40k_voc12aug-512x512.py': (
        'students/deeplabv3_mobilenet-v2-d8_4xb4-40k_voc12aug-512x512.py'
    ),
    'small/demo/tat_student.py': 'small/demo/student.py',
    'small/voc_small/tat_student.py': 'small/voc_small/student.py',
}


@pytest.fixture
def recipe():
    return Config.fromfile(config_path('small/demo/tat_student.py'))


@pytest.mark.parametrize('path', PAIRS, ids=str)
def test_it_is_the_plain_students_config(path):
    recipe, student = (Config.fromfile(config_path(name)) for name in (path, PAIRS[path]))
    before = copy.deepcopy(recipe.to_dict())
    plain, left_out = plain_config(recipe)
    assert recipe.to_dict() == before
    if path == PAPER:
        assert left_out == [
            'default_hooks.squashed_evaluation (SecondEvaluationHook)',
            *guards(),
            'default_hooks.teacher_check (mmrazor.TeacherCheckHook)',
            'default_hooks.teacher_evaluation (mmrazor.TeacherEvaluationHook)',
        ]
    expected = student.to_dict()
    assert expected['model'].pop('pretrained', None) is None or plain.model.pretrained is None
    model = plain.model.to_dict()
    assert model.pop('pretrained') is None and model == expected['model']
    rest = {k: v for k, v in plain.to_dict().items() if k not in ('model', 'test_pipeline')}
    for name in (*GUARDS, 'squashed_evaluation'):
        expected['default_hooks'].pop(name, None)
    for key in rest:
        assert rest[key] == expected[key], key
    assert {'train_dataloader', 'val_evaluator', 'optim_wrapper', 'visualizer'} <= rest.keys()
    assert 'custom_imports' not in rest
    assert plain.test_pipeline == student.test_dataloader.dataset.pipeline
    text = plain.pretty_text.lower()
    assert not any(word in text for word in ('mmrazor', 'distill', 'teacher', 'architecture'))


def guards() -> list[str]:
    return [f'default_hooks.{name} (mmrazor.{hook})' for name, hook in GUARDS.items()]


def test_a_plain_config_is_cleaned_too(recipe):
    recipe.default_hooks.checkpoint.save_best = ['student/mIoU', 'aAcc']
    assert plain_config(recipe)[0].default_hooks.checkpoint.save_best == ['mIoU', 'aAcc']
    plain, left_out = plain_config(Config.fromfile(config_path(PAIRS[MMSEG])))
    assert left_out == guards()
    assert plain.model.pretrained is None and plain.model.backbone.depth == 18
    name = 'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'
    segformer = Config.fromfile(config_file(name))
    assert segformer.model.backbone.init_cfg.type == 'Pretrained'
    plain, left_out = plain_config(segformer)
    assert 'init_cfg' not in plain.model.backbone and left_out == []
    assert plain.optim_wrapper == segformer.optim_wrapper


def test_hooks_go_by_where_their_class_is(recipe):
    @HOOKS.register_module(name='MineInMMRazor', force=True)
    class MineInMMRazor(Hook):
        pass

    @MMENGINE_HOOKS.register_module(name='MineElsewhere', force=True)
    class MineElsewhere(Hook):
        pass

    recipe.custom_hooks = [
        dict(type='MineElsewhere', text='stays'),
        dict(_scope_='mmrazor', type='MineInMMRazor'),
        dict(type='mmrazor.StopDistillHook', stop_epoch=3),
        dict(type='mmrazor.EMAHook', momentum=0.1),  # mmengine's, found through mmrazor
        dict(_scope_='mmrazor', type='MineElsewhere'),
        dict(type='mmrazor.NobodyHasThisHook'),
    ]
    recipe.default_hooks.update(
        checkpoint=None,
        student_checkpoint=dict(type='mmrazor.StudentCheckpointHook', interval=1),
        gradient_share=dict(type='mmrazor_tat.engine.hooks.GradientShareHook', interval=5),
        visualization=dict(type='mmrazor.RazorVisualizationHook'),
    )
    plain, left_out = plain_config(recipe)
    assert plain.custom_hooks == [
        dict(type='MineElsewhere', text='stays'),
        dict(type='EMAHook', momentum=0.1),
        dict(type='MineElsewhere'),
    ]
    names = {'checkpoint', 'logger', 'param_scheduler', 'sampler_seed', 'timer'}
    assert plain.default_hooks.keys() == names and plain.default_hooks.checkpoint is None
    assert {text.split()[0] for text in left_out} == {
        *('custom_hooks[1]', 'custom_hooks[2]', 'custom_hooks[5]', 'default_hooks.gradient_share'),
        *('default_hooks.student_checkpoint', 'default_hooks.visualization'),
        *(f'default_hooks.{name}' for name in GUARDS),
    }


def test_settings_of_the_optimizer_by_the_students_names(recipe):
    recipe.optim_wrapper.paramwise_cfg = dict(
        norm_decay_mult=0.0,
        custom_keys={
            'architecture.backbone': dict(lr_mult=0.1),
            'decode_head': dict(lr_mult=10.0),
            'distiller': dict(lr_mult=2.0),
            'loss_tat.gamma': dict(decay_mult=0.0),
            'architecture': dict(decay_mult=0.5),
        },
    )
    plain, left_out = plain_config(recipe)
    assert plain.optim_wrapper.paramwise_cfg == dict(
        norm_decay_mult=0.0,
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'decode_head': dict(lr_mult=10.0),
            '': dict(decay_mult=0.5),
        },
    )
    assert left_out[len(GUARDS) :] == [
        "optim_wrapper.paramwise_cfg.custom_keys['distiller']",
        "optim_wrapper.paramwise_cfg.custom_keys['loss_tat.gamma']",
    ]
    recipe.optim_wrapper.paramwise_cfg = dict(custom_keys=dict(distiller=dict(lr_mult=2.0)))
    assert 'paramwise_cfg' not in plain_config(recipe)[0].optim_wrapper


def test_imports_variables_and_traces_of_the_run(recipe):
    recipe.custom_imports.imports = ['json', 'mmrazor_tat', 'mmrazor.models']
    recipe.update(
        load_from='distilled.pth',
        resume=True,
        launcher='pytorch',
        work_dir='/home/me/distillation',
        my_teacher=dict(type='EncoderDecoder'),
        my_transform=dict(type='mmrazor.SquashToSize', scale=(5, 5)),
        my_number=3,
    )
    recipe.data_root = '/data/distillation/teacher'  # the user's folders are the user's
    recipe.test_dataloader.dataset.metainfo.classes = ('teacher', 'pupil')
    plain, left_out = plain_config(recipe)
    assert plain.custom_imports == dict(imports=['json'], allow_failed_imports=False)
    assert (plain.load_from, plain.resume) == (None, False)
    gone = {'launcher', 'work_dir', 'my_teacher', 'my_transform', 'my_number', 'data_root'}
    assert not gone & plain.keys() and left_out == guards()
    assert plain.test_dataloader.dataset.metainfo.classes == ('teacher', 'pupil')


def test_a_preprocessor_that_stands_elsewhere_comes_along(recipe):
    own = recipe.model.architecture.pop('data_preprocessor')
    recipe.data_preprocessor.mean = [1, 2, 3]
    assert plain_config(recipe)[0].model.data_preprocessor.mean == [1, 2, 3]
    recipe.model.data_preprocessor = own
    assert plain_config(recipe)[0].model.data_preprocessor == own


def squash(cfg):
    squashed = dict(type='mmrazor.SquashToSize', scale=(64, 64))
    cfg.test_dataloader.dataset.pipeline.insert(1, squashed)


def name_another_config(cfg):
    cfg.model.architecture = dict(cfg_path='mmseg::x.py')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            squash,
            r"test_dataloader.dataset.pipeline\[1\].type = 'mmrazor.SquashToSize' is needed, and "
            r'is of mmrazor or mmrazor_tat.*choose a part of mmseg or mmengine',
        ),
        (
            {'model.architecture.decode_head.loss_decode': dict(_scope_='mmrazor', type='L2Loss')},
            r"model.architecture.decode_head.loss_decode.type = 'L2Loss' is needed",
        ),
        (
            {'val_cfg.type': 'mmrazor.SingleTeacherDistillValLoop'},
            r"val_cfg.type = 'mmrazor.SingleTeacherDistillValLoop' is needed",
        ),
        (
            {'optim_wrapper.constructor': 'mmrazor.SeparateOptimWrapperConstructor'},
            r"optim_wrapper.constructor = 'mmrazor.SeparateOptimWrapperConstructor' is needed",
        ),
        (
            name_another_config,
            r"model.architecture names another config \('mmseg::x.py'\): write its model there",
        ),
        (lambda cfg: cfg.pop('model'), "config '.*tat_student.py' has no model"),
    ],
)
def test_what_cannot_be_left_out(recipe, change, message):
    if isinstance(change, dict):
        recipe.merge_from_dict(change)
    else:
        change(recipe)
    with pytest.raises(ValueError, match=f'(?s){message}'):
        plain_config(recipe)
