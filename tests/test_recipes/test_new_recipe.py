"""Recipes for pairs across heads and backbones: written, probed, trained for two iterations."""

import pytest
import torch
from fixtures.networks import NETWORKS, head
from mmengine import Config
from mmengine.runner import Runner

from mmrazor_tat.models.teacher.identity import digest_of_weights
from mmrazor_tat.recipes import METHODS, RecipeError, describe_views, new_recipe, other_classes
from mmrazor_tat.recipes.networks import _is_map
from mmrazor_tat.recipes.views import choose_views


@pytest.fixture
def write(tmp_path, toy_voc):
    """A function that writes the config of a network, ready to train on the generated scenes."""

    def write(name: str, **changes) -> str:
        model = {**NETWORKS[name], **changes}
        (tmp_path / f'{name}.py').write_text(
            "_base_ = ['mmrazor_tat::_base_/datasets/toy_voc.py',\n"
            "          'mmrazor_tat::_base_/schedules/demo.py',\n"
            "          'mmseg::_base_/default_runtime.py']\n"
            f'model = {model!r}\n'
            "custom_imports = dict(imports=['mmrazor_tat'], allow_failed_imports=False)\n"
            'train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False,\n'
            f'                        dataset=dict(data_root={str(toy_voc)!r}))\n'
            'val_dataloader = dict(num_workers=0, persistent_workers=False,\n'
            f'                      dataset=dict(data_root={str(toy_voc)!r}))\n'
            'test_dataloader = val_dataloader\n'
            'train_cfg = dict(max_iters=2, val_interval=2)\n'
            'default_hooks = dict(checkpoint=dict(interval=2))\n'
        )
        return str(tmp_path / f'{name}.py')

    return write


@pytest.fixture
def train(tmp_path):
    """A function that trains a recipe and gives the runner."""

    def train(recipe) -> Runner:
        cfg = Config.fromfile(recipe)
        cfg.work_dir, cfg.log_level = str(tmp_path / 'run'), 'ERROR'
        cfg.experiment_name = cfg.visualizer.name = f'{tmp_path.name}_{recipe.stem}'
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return train


# teacher, student, method, how the names of what is read begin: of the student, of the teacher.
_FEATURE = 'decode_head.bottleneck.activate'
_FUSION = 'decode_head.fusion_conv.activate'
_OCR = 'decode_head.1.object_context_block.'
_UP = 'decode_head.up_convs.0.0.act'
_DECODER = 'decode_head.sep_bottleneck.1.pointwise_conv.activate'
_CONV = 'decode_head.convs.0.activate'
PAIRS = [
    ('segformer_large', 'segformer_small', 'tat', _FUSION, _FUSION),
    ('upernet_swin', 'upernet_resnet', 'tat', *['decode_head.fpn_bottleneck.activate'] * 2),
    ('pspnet_large', 'pspnet_small', 'tat', _FEATURE, _FEATURE),
    ('ocrnet', 'fcn', 'tat', 'decode_head.conv_cat.activate', _OCR),
    # Attention between maps of different resolutions: 8 x 8 and 2 x 2, 8 x 8 and 16 x 16.
    ('fcn_stride_32', 'deeplabv3', 'tat-whole', _FEATURE, _CONV),
    ('deeplabv3plus', 'deeplabv3', 'tat', _FEATURE, _DECODER),
    ('segformer_large', 'mobilenet', 'tat-patch', _FEATURE, _FUSION),
    ('setr', 'bisenet', 'tat-anchor', _CONV, _UP),
    ('pspnet_large', 'pspnet_small', 'fitnet', _FEATURE, _FEATURE),
    ('segformer_large', 'segformer_small', 'kd', *['decode_head.conv_seg'] * 2),
    ('pspnet_large', 'pspnet_small', 'tat-cwd', _FEATURE, _FEATURE),
]


@pytest.mark.parametrize(
    ('teacher', 'student', 'method', 's_source', 't_source'),
    PAIRS,
    ids=[f'{pair[2]}-{pair[0]}-{pair[1]}' for pair in PAIRS],
)
def test_a_pair_is_chosen_written_and_trained(
    write, train, save_weights, tmp_path, teacher, student, method, s_source, t_source
):
    ckpt = save_weights(NETWORKS[teacher])
    out = tmp_path / 'recipe.py'
    recipe = new_recipe(write(teacher), write(student), out, method, teacher_ckpt=ckpt)
    kind = METHODS[method][1][0]
    assert recipe.student.points[kind].source.startswith(s_source)
    assert recipe.teacher.points[kind].source.startswith(t_source)
    runner = train(recipe.file)
    assert runner.iter == 2
    saved = torch.load(ckpt)['state_dict']
    assert runner.model.teacher_identity.sha256 == digest_of_weights(saved)
    name = dict(fitnet='loss_fitnet', kd='loss_kd').get(method, 'loss_tat')
    if name == 'loss_tat':  # over the teacher's positions, where the maps have one size
        sizes = {network.points['feature'].size for network in (recipe.student, recipe.teacher)}
        loss = runner.model.distiller.distill_losses[name]
        assert loss.softmax_over == ('teacher' if len(sizes) == 1 else 'student')
        assert loss.scale == 'auto'
        losses = recipe.algorithm.distiller.distill_losses
        assert len(losses) == (2 if method == 'tat-cwd' else 1)
    values = runner.message_hub.get_scalar(f'train/distill.{name}')._log_history
    assert len(values) == 2 and (values > 0).all()
    assert list((tmp_path / 'run').glob('best_mIoU_iter_2.pth'))
    assert 'val/teacher/mIoU' in runner.message_hub.log_scalars


def test_tokens_are_read_as_a_map(write, train, save_weights, tmp_path):
    ckpt = save_weights(NETWORKS['setr'])
    sources = {('teacher', 'feature'): 'backbone.layers.1'}
    out = tmp_path / 'recipe.py'
    recipe = new_recipe(write('setr'), write('fcn'), out, teacher_ckpt=ckpt, sources=sources)
    point = recipe.teacher.points['feature']
    assert (point.recorder, point.channels, point.size) == ('TokenMap', 16, (8, 8))
    runner = train(recipe.file)
    record = runner.model.distiller.get_record('feature', from_student=False)
    assert record.shape[1:] == (16, 8, 8)


class TestTheFile:
    def test_is_short_and_moves_with_its_folder(self, write, save_weights, tmp_path):
        ckpt = save_weights(NETWORKS['pspnet_large'])
        out = tmp_path / 'recipe.py'
        new_recipe(write('pspnet_large'), write('pspnet_small'), out, teacher_ckpt=ckpt, floor=3.5)
        text = out.read_text()
        assert len(text.splitlines()) < 45 and str(tmp_path) not in text
        moved = tmp_path.with_name(tmp_path.name + '_moved')
        tmp_path.rename(moved)
        try:
            cfg = Config.fromfile(moved / 'recipe.py')
        finally:
            moved.rename(tmp_path)
        assert cfg.model.teacher_ckpt == f'{moved}/teacher.pth'
        assert cfg.default_hooks.teacher_check.floor == 3.5
        assert cfg.model.teacher.decode_head.channels == 24
        # What was the student's stays.
        plain = Config.fromfile(tmp_path / 'pspnet_small.py')
        for key in ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
            assert cfg[key] == plain[key]
        assert cfg.model.architecture == plain.model

    def test_imports_and_best_checkpoint_of_the_student_are_kept(self, write, tmp_path):
        student = write('pspnet_small')
        with open(student, 'a') as file:
            file.write("custom_imports = dict(imports=['json'])\n")
            file.write("default_hooks = dict(checkpoint=dict(save_best='aAcc'))\n")
        new_recipe(write('pspnet_large'), student, tmp_path / 'recipe.py')
        cfg = Config.fromfile(tmp_path / 'recipe.py')
        assert cfg.custom_imports.imports == ['json', 'mmrazor_tat']
        assert cfg.default_hooks.checkpoint.save_best == 'aAcc'

    def test_through_a_link(self, write, tmp_path):
        (tmp_path / 'real/deep').mkdir(parents=True)
        (tmp_path / 'link').symlink_to(tmp_path / 'real/deep')
        out = tmp_path / 'link/recipe.py'
        new_recipe(write('pspnet_large'), write('pspnet_small'), out)
        assert Config.fromfile(out).model.teacher.decode_head.channels == 24

    def test_a_teacher_of_other_classes_is_not_evaluated(self, write, tmp_path):
        other = {**NETWORKS['pspnet_large']['decode_head'], 'num_classes': 11}
        teacher = write('pspnet_large', decode_head=other)
        recipe = new_recipe(teacher, write('pspnet_small'), tmp_path / 'recipe.py')
        assert other_classes(recipe.student, recipe.teacher) == (7, 11)
        hooks = Config.fromfile(recipe.file).default_hooks
        assert 'recipe_check' in hooks
        assert 'teacher_check' not in hooks and 'teacher_evaluation' not in hooks

    def test_the_size_is_kept_where_the_student_s_config_has_none(self, write, tmp_path):
        preprocessor = {**NETWORKS['fcn']['data_preprocessor']}
        del preprocessor['size']
        student = write('fcn', data_preprocessor=preprocessor)
        new_recipe(write('pspnet_large'), student, tmp_path / 'recipe.py')
        # The data set's crop, instead of 512 x 512.
        assert Config.fromfile(tmp_path / 'recipe.py').model.probe_size == (64, 64)


@pytest.mark.parametrize(
    ('shape', 'image', 'expected'),
    [
        ((1, 8, 64, 64), (128, 128), True),
        ((1, 8, 33, 33), (128, 128), True),
        ((1, 8, 2, 2), (128, 128), True),
        ((1, 8, 1, 1), (128, 128), True),  # pooled: chosen only where there is nothing finer
        ((1, 150, 1, 512), (128, 128), False),  # kernels
        ((1, 7, 256, 256), (128, 128), False),  # finer than the image
        ((1, 8, 16, 64), (128, 128), False),
        ((1, 64, 8), (128, 128), False),
        ((1, 8, 16, 33), (256, 520), True),
        ((1, 8, 33, 16), (256, 520), False),
    ],
)
def test_what_is_a_map(shape, image, expected):
    assert _is_map(shape, image) == expected


def masks_without_activations() -> dict:
    settings = dict(num_layers=1, num_heads=2, embed_dims=16, in_index=0, norm_cfg=dict(type='LN'))
    return dict(decode_head=head('SegmenterMaskTransformerHead', 16, 7, **settings))


_BOTTLENECK = 'decode_head.bottleneck.activate'
_TEACHER, _STUDENT = ('teacher', 'feature'), ('student', 'feature')
# What a network is changed by, what is asked for, and the error; of pspnet_large and fcn.
FAULTS = [
    (
        {},
        dict(sources={_TEACHER: 'decode_head.botleneck.activate'}),
        "--teacher-feature 'decode_head.botleneck.activate': the teacher has no such module"
        f". Nearest: '{_BOTTLENECK}'",
    ),
    (
        {},
        dict(sources={_TEACHER: 'decode_head.loss_decode'}),
        "--teacher-feature 'decode_head.loss_decode': this module of the teacher does not run",
    ),
    (
        {},
        dict(method='kd', sources={_STUDENT: 'backbone.layer4'}),
        '--student-feature backbone.layer4: method kd reads no feature, it reads the logits',
    ),
    ({}, dict(size=(32, 32)), "--size 32 x 32 is not the student's training crop, 64 x 64"),
    ({}, dict(size=(0, 5)), '--size must be two positive lengths'),
    (
        dict(type='NoSuch'),
        {},
        "student config '.*fcn.py' cannot be built: NoSuch is not in the mmseg",
    ),
    (
        dict(decode_head=head('FCNHead', 24, 8)),
        {},
        "student config '.*fcn.py' cannot be run on an input of 64 x 64: RuntimeError: ",
    ),
]


class TestErrors:
    @pytest.mark.parametrize(('change', 'options', 'message'), FAULTS)
    def test_what_will_not_do(self, write, tmp_path, change, options, message):
        """Nothing is left behind."""
        networks = write('pspnet_large'), write('fcn', **change)
        with pytest.raises(RecipeError, match=message):
            new_recipe(*networks, tmp_path / 'recipe.py', **options)
        assert not list(tmp_path.glob('recipe*'))

    def test_a_head_without_activations(self, write, tmp_path):
        teacher = write('setr', **masks_without_activations())
        message = "the teacher '.*setr.py' has no map before an activation in its head: name a"
        with pytest.raises(RecipeError, match=message):
            new_recipe(teacher, write('fcn'), tmp_path / 'recipe.py')

    def test_a_checkpoint_of_another_network(self, write, save_weights, tmp_path):
        networks, out = (write('pspnet_large'), write('pspnet_small')), tmp_path / 'recipe.py'
        with pytest.raises(ValueError, match='does not fit the teacher'):
            new_recipe(*networks, out, teacher_ckpt=save_weights(NETWORKS['fcn']))
        assert not list(tmp_path.glob('recipe*'))

    def test_maps_that_a_method_cannot_compare(self, write, tmp_path):
        with pytest.raises(ValueError) as error:
            new_recipe(write('deeplabv3plus'), write('fcn'), tmp_path / 'recipe.py', 'fitnet')
        text = str(error.value)
        assert "s_feature: student_recorders['feature'] from 'decode_head.conv_cat.act" in text
        assert '(1, 8, 8, 8)' in text and '(1, 16, 16, 16)' in text

    def test_a_recipe_is_no_network(self, write, tmp_path):
        out = tmp_path / 'recipe.py'
        new_recipe(write('pspnet_large'), write('pspnet_small'), out)
        with pytest.raises(RecipeError, match='teacher config .* is a distillation recipe'):
            new_recipe(str(out), write('pspnet_small'), tmp_path / 'other.py')
        with pytest.raises(RecipeError, match='recipe.py exists: choose another name, or add --f'):
            new_recipe(write('pspnet_large'), write('pspnet_small'), out)
        with pytest.raises(RecipeError, match='--out must name a .py file without other dots'):
            new_recipe(write('pspnet_large'), write('pspnet_small'), tmp_path / 'r18-v1.2.py')

    @pytest.mark.parametrize(
        ('name', 'message'),
        [
            ('no/such.py', "there is no config 'no/such.py'"),
            ('mmseg::no/such.py', "mmseg has no config 'no/such.py'"),
            ('mmnothing::a.py', "package 'mmnothing' is not installed"),
            ('broken.py', "teacher config '.*broken.py' cannot be read: SyntaxError"),
        ],
    )
    def test_a_config_that_cannot_be_had(self, write, tmp_path, monkeypatch, name, message):
        monkeypatch.chdir(tmp_path)
        (tmp_path / 'broken.py').write_text('model = dict(')
        with pytest.raises((FileNotFoundError, RecipeError), match=message):
            new_recipe(name, write('fcn'), tmp_path / 'recipe.py')


@pytest.mark.parametrize(
    ('sizes', 'expected'),
    [
        ([(128, 128), (128, 128)], [(16, 16), 64, 4]),  # the paper's for ResNet-18 on VOC
        ([(129, 129), (129, 129)], [(16, 16), 64, 4]),
        ([(64, 64), (64, 64)], [(8, 8), 16, 2]),
        ([(64, 128), (32, 64)], [(8, 16), 32, 2]),
        ([(16, 16), (16, 16)], [(4, 4), 4, 2]),
        ([(20, 28), (20, 28)], [(5, 7), 7, 2]),
    ],
)
def test_views_by_size(sizes, expected):
    patch, anchor = choose_views('tat', *sizes)
    assert [patch['grid'], patch['groups'], anchor['kernel']] == expected


def test_views_of_a_small_map_and_in_words():
    views = [dict(type='whole', weight=0.1)]
    assert choose_views('tat', (7, 7), (7, 7)) == views
    assert choose_views('tat-whole', (99, 99), (99, 99)) == views
    (patch,) = choose_views('tat-patch', (8, 8), (8, 8))
    assert (patch['grid'], patch['groups']) == ((4, 4), 4)
    assert describe_views(choose_views('tat', (128, 128), (128, 128)), (128, 128)) == [
        'patch groups: 16 x 16 patches of 8 x 8, 64 groups',
        'anchor points: 32 x 32 means of 4 x 4',
    ]


def test_a_recipe_whose_weights_set_themselves(here, write, tmp_path):
    pair = write('segformer_large'), write('segformer_small')
    out = tmp_path / 'recipe.py'
    here('tools/new_recipe.py', *pair, '--out', out, '--balance')
    hook = Config.fromfile(out).default_hooks.balance
    assert hook == dict(type='mmrazor.GradientBalanceHook', target=0.5)
    other = '--out', tmp_path / 'other.py', '--balance', '1.5'
    text = here('tools/new_recipe.py', *pair, *other, ok=False)
    assert 'target must be a share of the gradient above 0 and below 1' in text
    assert not (tmp_path / 'other.py').exists()
