"""Heat maps of the attention: where a planted match is found, and where on the image it lies."""

import copy

import pytest
import torch
from mmengine.registry import MODELS

from mmrazor_tat.visualization.attention.maps import (
    Box,
    attention_maps,
    covered_size,
    require_tat_loss,
    teacher_map,
)

VIEWS = dict(
    whole=dict(type='whole'),
    anchor=dict(type='anchor', kernel=2),
    patch=dict(type='patch', grid=(2, 3), groups=3),
)
LOSSES = dict(
    whole=dict(type='TaTLoss'),
    anchor=dict(type='AnchorPointTaTLoss', kernel=2),
    patch=dict(type='PatchGroupTaTLoss', grid=(2, 3), groups=3),
)


def hierarchical(distiller, *views, **options):
    """One loss, with projections that change nothing."""
    chosen = [VIEWS[view] for view in views]
    loss = dict(type='HierarchicalTaTLoss', views=chosen, projections=(), lean=False, **options)
    return {**distiller, 'distill_losses': dict(loss_tat=loss)}


def composed(distiller, *views, **options):
    """A loss for each view, without connectors."""
    student = dict(recorder='feature', from_student=True)
    teacher = dict(recorder='feature', from_student=False)
    inputs = dict(s_key=student, s_value=student, t_query=teacher, t_feature=teacher)
    return {
        **distiller,
        'distill_losses': {f'loss_{view}': {**LOSSES[view], **options} for view in views},
        'loss_forward_mappings': {f'loss_{view}': inputs for view in views},
    }


def model_of(segmentor, distiller) -> dict:
    networks = dict(architecture=segmentor(8), teacher=segmentor(8))
    return dict(type='mmrazor.FrozenTeacherDistill', distiller=distiller, **networks)


@pytest.fixture
def build(segmentor, lean_distiller):
    """A function that gives the distiller of two equal networks with planted records."""

    def build(form, s_map, t_map, *views, **options):
        of = form(copy.deepcopy(lean_distiller), *views, **options)
        distiller = MODELS.build(model_of(segmentor, of)).distiller

        def raw_record(recorder, from_student, *_):
            return s_map if from_student else t_map

        distiller.raw_record = raw_record
        return distiller

    return build


def planted(s_size, t_size, source, target, window=1, softmax_over='student'):
    """Two maps that agree in nothing but the vector at ``source`` (student) and ``target``."""
    generator = torch.Generator().manual_seed(0)
    s_map, t_map = (0.1 * torch.randn(1, 16, *s, generator=generator) for s in (s_size, t_size))
    at = dict(source=s_map, target=t_map)
    if softmax_over == 'teacher':  # the student's row looks for the teacher's column
        at = dict(source=t_map, target=s_map)
    for name, (row, column) in dict(source=source, target=target).items():
        at[name][:, :, row : row + window, column : column + window] = 3.0
    return s_map, t_map


@pytest.mark.parametrize(
    ('view', 'planted_at', 'point', 'title', 'peak', 'places', 'target'),
    [
        (
            *('whole', ((6, 11), (1, 2)), (1, 2), 'whole map 8 x 12', (6, 11)),
            (Box(0, 0, 1, 1),),
            Box(1 / 8, 2 / 12, 2 / 8, 3 / 12),
        ),
        (
            *('anchor', ((6, 10), (0, 2), 2), (1, 3), 'anchor points 4 x 6', (3, 5)),
            (Box(0, 0, 1, 1),),
            Box(0, 2 / 12, 2 / 8, 4 / 12),
        ),
        # 2 x 3 patches; group 1 has the last of the first row, the first of the second. Student
        # and teacher agree in the second.
        (
            *('patch', ((7, 2), (5, 1)), (5, 1), 'group: 2 patches of 4 x 4', (3, 2)),
            (Box(0, 8 / 12, 0.5, 1), Box(0.5, 0, 1, 4 / 12)),
            Box(5 / 8, 1 / 12, 6 / 8, 2 / 12),
        ),
    ],
)
@pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
@pytest.mark.parametrize('form', [hierarchical, composed])
def test_planted(build, form, softmax_over, view, planted_at, point, title, peak, places, target):
    """Maps of 8 x 12; the peak, its places and the target in fractions worked out by hand."""
    maps = planted((8, 12), (8, 12), *planted_at, softmax_over=softmax_over)
    distiller = build(form, *maps, view, softmax_over=softmax_over)
    ((found,),) = attention_maps(distiller, [point])
    assert found.kind == view and found.name in (f'tat_{view}', view)
    assert found.weights.sum().item() == pytest.approx(1, abs=1e-6)
    assert found.weights.max() > 0.99 and found.effective_positions < 1.1
    shape = tuple(int(side) for side in title.split(' ')[-3::2])
    assert found.weights.shape == shape and found.title == title
    assert divmod(found.weights.argmax().item(), shape[1]) == peak
    assert (found.places, found.target, found.moved) == (places, target, False)


def test_maps_of_two_sizes(build):
    """The teacher's is 8 x 12, the student's 16 x 6."""
    s_map, t_map = planted((16, 6), (8, 12), (13, 4), (2, 9))
    views = 'whole', 'anchor', 'patch'
    distiller = build(hierarchical, s_map, t_map, *views, softmax_over='student')
    ((whole, anchor, patch),) = attention_maps(distiller, [(2, 9)])
    assert [x.name for x in (whole, anchor, patch)] == ['tat_whole', 'tat_anchor', 'tat_patch']
    assert whole.weights.shape == (16, 6) and whole.weights.argmax() == 13 * 6 + 4
    assert anchor.weights.shape == (8, 3)
    assert patch.weights.shape == (8, 2)
    assert patch.places == (Box(0, 4 / 6, 0.5, 1), Box(0.5, 0, 1, 2 / 6))


def test_several_points_and_an_image_of_a_batch(build):
    first = planted((8, 12), (8, 12), (6, 11), (1, 2))
    maps = [*map(torch.cat, zip(first, planted((8, 12), (8, 12), (0, 5), (7, 7))))]
    distiller = build(hierarchical, *maps, 'whole', softmax_over='student', scale=1.0)
    (first,), (second,) = attention_maps(distiller, [(7, 7), (4, 4)], image=1)
    assert first.weights.argmax() == 5 and first.weights.max() > 0.99
    assert second.weights.max() < 0.2  # nothing is planted there
    assert second.effective_positions > 20


def test_equal_weights_have_all_positions(build):
    distiller = build(hierarchical, torch.zeros(1, 16, 8, 12), torch.ones(1, 16, 8, 12), 'whole')
    ((found,),) = attention_maps(distiller, [(0, 0)])
    assert found.effective_positions == pytest.approx(96, rel=1e-5)


@pytest.mark.parametrize(('form', 'views'), [(hierarchical, ['whole']), (composed, ['anchor'])])
def test_the_map_that_points_are_chosen_by_is_the_raw_one(build, form, views):
    maps = planted((8, 12), (8, 12), (6, 11), (1, 2))
    assert teacher_map(build(form, *maps, *views)) is maps[1]


def test_what_a_view_drops(build):
    """On 9 x 14 positions the patches of 4 x 4 end at row 8 and column 12."""
    maps = planted((9, 14), (9, 14), (7, 2), (5, 1))
    distiller = build(hierarchical, *maps, 'patch', 'anchor', 'whole')
    assert covered_size(distiller) == (8, 12)
    ((patch, anchor, whole),) = attention_maps(distiller, [(8, 13)])
    assert (patch.moved, anchor.moved, whole.moved) == (True, True, False)
    assert patch.target == Box(7 / 9, 11 / 14, 8 / 9, 12 / 14)
    assert anchor.target == Box(6 / 9, 12 / 14, 8 / 9, 14 / 14)
    assert whole.target == Box(8 / 9, 13 / 14, 1, 1)
    assert anchor.places == (Box(0, 0, 8 / 9, 1),)
    assert whole.places == (Box(0, 0, 1, 1),)


def test_the_projections_are_used_and_left_alone(build, lean_distiller):
    """With batch norms: eval mode inside, nothing learnt, the mode as before."""
    maps = planted((8, 12), (8, 12), (6, 11), (1, 2))

    def form(distiller):
        loss = dict(type='HierarchicalTaTLoss', views=[VIEWS['whole']], norm_cfg=dict(type='BN'))
        return {**distiller, 'distill_losses': dict(loss_tat=loss)}

    distiller = build(form, *maps).train()
    before = copy.deepcopy(distiller.state_dict())
    loss = distiller.distill_losses['loss_tat']
    ((found,),) = attention_maps(distiller, [(1, 2)])
    assert distiller.training and loss.gamma.training
    assert all(torch.equal(x, before[name]) for name, x in distiller.state_dict().items())
    distiller.eval()
    with torch.no_grad():
        key, query = (loss.gamma(maps[0]), loss.theta(maps[1]))
        logits = key[0, :, 1, 2] @ query[0].flatten(1) / key.shape[1] ** 0.5
        expected = logits.softmax(0).view(8, 12)
    torch.testing.assert_close(found.weights, expected)


def test_errors(segmentor, distiller_config):
    with pytest.raises(ValueError, match='a EncoderDecoder has no distillation losses'):
        require_tat_loss(MODELS.build(segmentor(8)))
    model = MODELS.build(model_of(segmentor, distiller_config('kd')))
    with pytest.raises(ValueError, match=r'the losses are: loss_kd \(PixelWiseKDLoss\)'):
        require_tat_loss(model)
