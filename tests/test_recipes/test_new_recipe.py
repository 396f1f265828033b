"""Recipes for pairs across heads and backbones: written, probed, trained for two iterations."""

import re

import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner

from mmrazor_tat.recipes import METHODS, RecipeError, describe_views, new_recipe, other_classes
from mmrazor_tat.recipes.networks import _is_map
from mmrazor_tat.recipes.views import choose_views

CROP = 64
_NORM = dict(type='BN', requires_grad=True)
_RESNET = dict(
    type='ResNetV1c', num_stages=4, out_indices=(0, 1, 2, 3), norm_cfg=_NORM, contract_dilation=True
)


def resnet(base: int, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), depth: int = 18) -> dict:
    return dict(
        depth=depth,
        base_channels=base,
        stem_channels=base,
        strides=strides,
        dilations=dilations,
        **_RESNET,
    )


def mit(width: int, layers: list[int]) -> dict:
    return dict(
        type='MixVisionTransformer',
        in_channels=3,
        embed_dims=width,
        num_stages=4,
        num_layers=layers,
        num_heads=[1, 2, 2, 4],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        out_indices=(0, 1, 2, 3),
        mlp_ratio=2,
        qkv_bias=True,
    )


def head(type: str, in_channels, channels: int, **settings) -> dict:
    return dict(
        type=type,
        in_channels=in_channels,
        channels=channels,
        num_classes=7,
        dropout_ratio=0.1,
        norm_cfg=_NORM,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        **settings,
    )


def network(backbone: dict, decode_head, **settings) -> dict:
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            size=(CROP, CROP),
        ),
        backbone=backbone,
        decode_head=decode_head,
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
        **settings,
    )


def levels(width: int) -> list[int]:
    return [width, 2 * width, 4 * width, 8 * width]


NETWORKS = dict(
    segformer_large=network(
        mit(16, [1, 2, 2, 1]),
        head('SegformerHead', [16, 32, 32, 64], 24, in_index=[0, 1, 2, 3]),
    ),
    segformer_small=network(
        mit(8, [1, 1, 1, 1]), head('SegformerHead', [8, 16, 16, 32], 12, in_index=[0, 1, 2, 3])
    ),
    upernet_swin=network(
        dict(
            type='SwinTransformer',
            pretrain_img_size=CROP,
            embed_dims=16,
            depths=[1, 1, 2, 1],
            num_heads=[1, 2, 2, 4],
            window_size=4,
            out_indices=(0, 1, 2, 3),
        ),
        head('UPerHead', levels(16), 24, in_index=[0, 1, 2, 3], pool_scales=(1, 2)),
    ),
    upernet_resnet=network(
        resnet(8, (1, 2, 2, 2), (1, 1, 1, 1)),
        head('UPerHead', levels(8), 16, in_index=[0, 1, 2, 3], pool_scales=(1, 2)),
    ),
    pspnet_large=network(
        resnet(8, depth=34), head('PSPHead', 64, 24, in_index=3, pool_scales=(1, 2))
    ),
    pspnet_small=network(resnet(4), head('PSPHead', 32, 8, in_index=3, pool_scales=(1, 2))),
    fcn=network(resnet(4), head('FCNHead', 32, 8, in_index=3, num_convs=2, concat_input=True)),
    fcn_stride_32=network(
        resnet(8, (1, 2, 2, 2), (1, 1, 1, 1)),
        head('FCNHead', 64, 16, in_index=3, num_convs=1, concat_input=False),
    ),
    deeplabv3=network(resnet(4), head('ASPPHead', 32, 8, in_index=3, dilations=(1, 2))),
    deeplabv3plus=network(
        resnet(8),
        head(
            'DepthwiseSeparableASPPHead',
            64,
            16,
            in_index=3,
            dilations=(1, 2),
            c1_in_channels=8,
            c1_channels=4,
        ),
    ),
    ocrnet=dict(
        network(
            resnet(8),
            [
                head('FCNHead', 64, 8, in_index=3, num_convs=1, concat_input=False),
                head('OCRHead', 64, 16, in_index=3, ocr_channels=8),
            ],
        ),
        type='CascadeEncoderDecoder',
        num_stages=2,
    ),
    bisenet=network(
        dict(
            type='BiSeNetV2',
            detail_channels=(8, 8, 16),
            semantic_channels=(8, 8, 8, 16),
            semantic_expansion_ratio=2,
            bga_channels=16,
            out_indices=(0, 1, 2, 3, 4),
            norm_cfg=_NORM,
        ),
        head('FCNHead', 16, 12, in_index=0, num_convs=1, concat_input=False),
    ),
    setr=network(
        dict(
            type='VisionTransformer',
            img_size=(CROP, CROP),
            patch_size=8,
            embed_dims=16,
            num_layers=2,
            num_heads=2,
            mlp_ratio=2,
            out_indices=(1,),
            with_cls_token=True,
            norm_cfg=dict(type='LN', eps=1e-6),
        ),
        head('SETRUPHead', 16, 12, in_index=0, num_convs=1, up_scale=2, kernel_size=3),
    ),
    mobilenet=network(
        dict(type='MobileNetV2', widen_factor=0.25, strides=(1, 2, 2, 1, 1, 1, 1),
             dilations=(1, 1, 1, 2, 2, 4, 4), out_indices=(1, 2, 4, 6), norm_cfg=_NORM),
        head('ASPPHead', 80, 8, in_index=3, dilations=(1, 2)),
    ),
)  # fmt: skip


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
    recipe = new_recipe(
        write(teacher), write(student), tmp_path / 'recipe.py', method, teacher_ckpt=ckpt
    )
    kind = METHODS[method][1][0]
    for point, source in (
        (recipe.student.points[kind], s_source),
        (recipe.teacher.points[kind], t_source),
    ):
        assert point.source.startswith(source)
    runner = train(recipe.file)
    assert runner.iter == 2
    saved = torch.load(ckpt)['state_dict']
    assert all(torch.equal(x, saved[k]) for k, x in runner.model.teacher.state_dict().items())
    name = dict(fitnet='loss_fitnet', kd='loss_kd').get(method, 'loss_tat')
    if name == 'loss_tat':  # over the teacher's positions, where the maps have one size
        sizes = {network.points['feature'].size for network in (recipe.student, recipe.teacher)}
        loss = runner.model.distiller.distill_losses[name]
        assert loss.softmax_over == ('teacher' if len(sizes) == 1 else 'student')
        assert (loss.scale, len(recipe.algorithm.distiller.distill_losses)) == (
            'auto',
            2 if method == 'tat-cwd' else 1,
        )
    values = runner.message_hub.get_scalar(f'train/distill.{name}')._log_history
    assert len(values) == 2 and (values > 0).all()
    best = list((tmp_path / 'run').glob('best_mIoU_iter_2.pth'))
    assert best
    assert 'val/teacher/mIoU' in runner.message_hub.log_scalars


def test_tokens_are_read_as_a_map(write, train, save_weights, tmp_path):
    ckpt = save_weights(NETWORKS['setr'])
    recipe = new_recipe(
        write('setr'),
        write('fcn'),
        tmp_path / 'recipe.py',
        teacher_ckpt=ckpt,
        sources={('teacher', 'feature'): 'backbone.layers.1'},
    )
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
        teacher = write(
            'pspnet_large',
            decode_head={**NETWORKS['pspnet_large']['decode_head'], 'num_classes': 11},
        )
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


class TestWhatIsAMap:
    @pytest.mark.parametrize(
        ('shape', 'expected'),
        [
            ((1, 8, 64, 64), True),
            ((1, 8, 33, 33), True),
            ((1, 8, 2, 2), True),
            ((1, 8, 1, 1), True),  # pooled: chosen only where there is nothing finer
            ((1, 150, 1, 512), False),  # kernels
            ((1, 7, 256, 256), False),  # finer than the image
            ((1, 8, 16, 64), False),
            ((1, 64, 8), False),
        ],
    )
    def test_of_a_square_image(self, shape, expected):
        assert _is_map(shape, (128, 128)) == expected

    def test_of_a_wide_image(self):
        assert _is_map((1, 8, 16, 33), (256, 520)) and not _is_map((1, 8, 33, 16), (256, 520))


class TestErrors:
    @pytest.mark.parametrize(
        ('sources', 'message'),
        [
            (
                {('student', 'feature'): 'decode_head.botleneck.activate'},
                "--student-feature 'decode_head.botleneck.activate': the student has no such module"
                ". Nearest: 'decode_head.bottleneck.activate'",
            ),
            (
                {('teacher', 'feature'): 'decode_head.loss_decode'},
                "--teacher-feature 'decode_head.loss_decode': this module of the teacher does not "
                'run',
            ),
        ],
    )
    def test_a_module_that_will_not_do(self, write, tmp_path, sources, message):
        out = tmp_path / 'recipe.py'
        with pytest.raises(RecipeError, match=re.escape(message)):
            new_recipe(write('pspnet_large'), write('pspnet_small'), out, sources=sources)
        assert not list(tmp_path.glob('recipe*'))

    def test_a_head_without_activations(self, write, tmp_path):
        masks = head(
            'SegmenterMaskTransformerHead',
            16,
            7,
            num_layers=1,
            num_heads=2,
            embed_dims=16,
            in_index=0,
        )
        masks['norm_cfg'] = dict(type='LN')
        teacher = write('setr', decode_head=masks)
        message = "the teacher '.*setr.py' has no map before an activation in its head: name a"
        with pytest.raises(RecipeError, match=message):
            new_recipe(teacher, write('fcn'), tmp_path / 'recipe.py')

    def test_a_checkpoint_of_another_network_leaves_nothing_behind(
        self, write, save_weights, tmp_path
    ):
        ckpt = save_weights(NETWORKS['fcn'])
        with pytest.raises(ValueError, match='does not fit the teacher'):
            new_recipe(
                write('pspnet_large'),
                write('pspnet_small'),
                tmp_path / 'recipe.py',
                teacher_ckpt=ckpt,
            )
        assert not list(tmp_path.glob('recipe*'))

    @pytest.mark.parametrize(
        ('change', 'message'),
        [
            (
                dict(type='NoSuch'),
                "student config '.*fcn.py' cannot be built: NoSuch is not in the mmseg",
            ),
            (
                dict(decode_head=head('FCNHead', 24, 8, in_index=3)),
                "student config '.*fcn.py' cannot be run on an input of 64 x 64: RuntimeError: ",
            ),
        ],
    )
    def test_a_network_that_does_not_run(self, write, tmp_path, change, message):
        with pytest.raises(RecipeError, match=message):
            new_recipe(write('pspnet_large'), write('fcn', **change), tmp_path / 'recipe.py')

    def test_a_config_that_cannot_be_read(self, write, tmp_path):
        (tmp_path / 'broken.py').write_text('model = dict(')
        message = "teacher config '.*broken.py' cannot be read: SyntaxError"
        with pytest.raises(RecipeError, match=message):
            new_recipe(str(tmp_path / 'broken.py'), write('fcn'), tmp_path / 'recipe.py')

    def test_what_the_method_does_not_read(self, write, tmp_path):
        message = (
            '--student-feature backbone.layer4: method kd reads no feature, it reads the logits'
        )
        sources = {('student', 'feature'): 'backbone.layer4'}
        with pytest.raises(RecipeError, match=message):
            new_recipe(
                write('pspnet_large'), write('fcn'), tmp_path / 'r.py', 'kd', sources=sources
            )

    @pytest.mark.parametrize(
        ('size', 'message'),
        [
            ((32, 32), "--size 32 x 32 is not the student's training crop, 64 x 64"),
            ((0, 5), '--size must be two positive lengths'),
        ],
    )
    def test_a_size_that_training_does_not_have(self, write, tmp_path, size, message):
        with pytest.raises(RecipeError, match=message):
            new_recipe(write('pspnet_large'), write('fcn'), tmp_path / 'r.py', size=size)

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
        ],
    )
    def test_a_config_that_is_not_there(self, write, tmp_path, name, message):
        with pytest.raises(FileNotFoundError, match=message):
            new_recipe(name, write('fcn'), tmp_path / 'recipe.py')


class TestViews:
    @pytest.mark.parametrize(
        ('sizes', 'expected'),
        [
            # The paper's for ResNet-18 on VOC.
            ([(128, 128), (128, 128)], [(16, 16), 64, 4]),
            ([(129, 129), (129, 129)], [(16, 16), 64, 4]),
            ([(64, 64), (64, 64)], [(8, 8), 16, 2]),
            ([(64, 128), (32, 64)], [(8, 16), 32, 2]),
            ([(16, 16), (16, 16)], [(4, 4), 4, 2]),
            ([(20, 28), (20, 28)], [(5, 7), 7, 2]),
        ],
    )
    def test_by_size(self, sizes, expected):
        patch, anchor = choose_views('tat', *sizes)
        assert [patch['grid'], patch['groups'], anchor['kernel']] == expected

    def test_of_a_small_map(self):
        views = [dict(type='whole', weight=0.1)]
        assert choose_views('tat', (7, 7), (7, 7)) == views
        assert choose_views('tat-whole', (99, 99), (99, 99)) == views
        (patch,) = choose_views('tat-patch', (8, 8), (8, 8))
        assert (patch['grid'], patch['groups']) == ((4, 4), 4)

    def test_in_words(self):
        views = choose_views('tat', (128, 128), (128, 128))
        assert describe_views(views, (128, 128)) == [
            'patch groups: 16 x 16 patches of 8 x 8, 64 groups',
            'anchor points: 32 x 32 means of 4 x 4',
        ]
