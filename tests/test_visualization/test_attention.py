"""The attention on an image, and the picture of it, looked at by its pixels."""

import random

import cv2
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from mmengine import Config
from torch import nn

from mmrazor_tat import config_path
from mmrazor_tat.utils.networks import trained_model
from mmrazor_tat.visualization.attention.figure import attention_figure, figure_pixels
from mmrazor_tat.visualization.attention.image import attention_of_image, read_image, undisturbed
from mmrazor_tat.visualization.figures import SKY, VERMILION

WIDTH, HEIGHT = 100, 60


def recipe():
    """The demo's recipe; images of 100 x 60 become 80 x 48, and maps of 12 x 20."""
    cfg = Config.fromfile(config_path('small/demo/tat_student.py'))
    cfg.test_dataloader.dataset.pipeline[1].scale = (80, 80)
    loss = cfg.model.distiller.distill_losses.loss_tat
    loss.update(softmax_over='student', scale=1.0)  # sharp, a row for each target
    views = loss.views
    views.append(dict(type='whole'))
    views[0].update(grid=(3, 4), groups=6)  # patches of 4 x 5, two to a group
    return cfg


@pytest.fixture
def cfg():
    return recipe()


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return trained_model(recipe())


@pytest.fixture
def image(tmp_path):
    path = tmp_path / 'grey.png'
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    return str(path)


@pytest.fixture
def plant(model):
    """A function that lets the networks agree at a place of the student and one of the teacher."""

    loss = model.distiller.distill_losses['loss_tat']
    projections = loss.gamma, loss.theta

    def plant(source, target, size=(12, 20)):
        generator = torch.Generator().manual_seed(0)
        s_map, t_map = (0.1 * torch.randn(1, 16, *size, generator=generator) for _ in range(2))
        for x, (row, column) in ((s_map, source), (t_map, target)):
            x[:, :, row : row + 2, column : column + 2] = 3.0  # a whole anchor point
        loss.gamma = loss.theta = nn.Identity()

        def raw_record(recorder, from_student, *_):
            return s_map if from_student else t_map

        model.distiller.raw_record = raw_record

    yield plant
    loss.gamma, loss.theta = projections
    vars(model.distiller).pop('raw_record', None)


def box_on(axis, pixels, box):
    """The pixels of a picture in (left, top, right, bottom) of an axis' own coordinates."""
    (x0, y0), (x1, y1) = (axis.transData.transform(corner) for corner in (box[:2], box[2:]))
    height = len(pixels)
    return pixels[round(height - y0) : round(height - y1), round(x0) : round(x1)].astype(int)


def hottest(axis, pixels, box=(0, 0, WIDTH, HEIGHT)):
    """(x, y) in an axis' own coordinates of the pixel nearest to the colours' bright end."""
    part = box_on(axis, pixels, box)
    heat = part[..., 0] + part[..., 1] - part[..., 2]  # pale yellow; white and blue have less
    y, x = np.argwhere(heat == heat.max()).mean(0)
    rows, columns = heat.shape
    return (
        box[0] + (x + 0.5) / columns * (box[2] - box[0]),
        box[1] + (y + 0.5) / rows * (box[3] - box[1]),
    )


def contains(cell, point):
    left, top, right, bottom = cell
    return left < point[0] < right and top < point[1] < bottom


def test_what_is_drawn(model, cfg, image, plant):
    """Positions of 5 x 5 pixels. The student has at (8, 12) what the teacher has at (8, 2)."""
    plant((8, 12), (8, 2))
    attention = attention_of_image(model, cfg, image, points=[(12, 42)])
    figure = attention_figure({'before': attention, 'after': attention})
    figure.set_dpi(100)
    pixels = figure_pixels(figure)
    axes = figure.axes
    kinds = 'group: 2 patches of 4 x 5', 'anchor points 6 x 10', 'whole map 12 x 20'
    columns = [f'{kind}\n{when}' for kind in kinds for when in ('before', 'after')]
    assert [axis.get_title() for axis in axes] == ['image and point', *columns]
    assert axes[3].get_xlabel() == 'max 1.00, 1.0 of 60'
    assert axes[5].get_xlabel() == 'max 0.25, 4.0 of 240'  # the four cells of the anchor

    # The hottest pixel is in the planted cells.
    for axis in axes[3:7]:  # anchor points and whole map, twice
        assert contains((60, 40, 70, 50), hottest(axis, pixels))
    for axis in axes[5:7]:  # all four are hot, their neighbours are not
        part = box_on(axis, pixels, (61, 41, 69, 49)).reshape(-1, 3)
        assert (part.min(0) > (200, 200, 120)).all()
        assert box_on(axis, pixels, (72, 41, 79, 49)).max() < 100

    # The cell that is rebuilt is outlined.
    for axis, right, bottom in ((axes[3], 20, 50), (axes[5], 15, 45)):
        for x, y in ((10, (40 + bottom) / 2), (right, (40 + bottom) / 2), (12, 40)):
            part = box_on(axis, pixels, (x - 1, y - 1, x + 1, y + 1)).reshape(-1, 3)
            distance = np.abs(part - 255 * np.array(to_rgb(SKY))).sum(1)
            assert distance.min() < 40

    # The point is marked on the image, in colour.
    part = box_on(axes[0], pixels, (12, 41, 13, 43)).reshape(-1, 3)
    np.testing.assert_allclose(part.mean(0) / 255, to_rgb(VERMILION), atol=0.02)
    assert (box_on(axes[0], pixels, (60, 5, 90, 15)) == 120).all()  # the image, as it is
    assert axes[0].texts[0].get_text() == '1'


def test_patch_group_in_the_picture(model, cfg, image, plant):
    """Group 4 has the first two patches of the last row, of 25 x 20 pixels each. In the second the
    student has at (8, 8) what the teacher has at (10, 6)."""
    plant((8, 8), (10, 6))
    attention = attention_of_image(model, cfg, image, points=[(32, 52)])
    heat = attention.maps[0][0]
    assert divmod(heat.weights.argmax().item(), 5) in [(0, 3), (0, 4), (1, 3), (1, 4)]
    figure = attention_figure({'': attention})
    pixels = figure_pixels(figure)
    image_axis, axis = figure.axes[:2]
    left, right = axis.get_xlim()
    bottom, top = axis.get_ylim()
    assert (left, bottom) == (0, HEIGHT) and right < WIDTH and top > 0
    assert axis.get_xlabel().startswith('enlarged; max 0.2')
    for patch in ((0, 40, 25, 60), (25, 40, 50, 60)):  # the weights are painted in both
        cell = (patch[0] + 15, 40, patch[0] + 25, 50)
        assert contains(cell, hottest(axis, pixels, patch))
    inside, outside = (box_on(axis, pixels, (2, y, 9, y + 3)).mean() for y in (56, 34))
    assert inside > 1.5 * outside  # dim where the view does not look
    for outlined in (image_axis, axis):
        line = box_on(outlined, pixels, (23.5, 55, 26.5, 58)).reshape(-1, 3)
        assert line.max() > 180  # white, over grey of at most 120


class TestPoints:
    @pytest.mark.parametrize('pixel', [(0, 0), (99, 59), (37, 12)])
    def test_a_pixel_is_in_its_cell(self, model, cfg, image, pixel):
        attention = attention_of_image(model, cfg, image, points=[pixel])
        assert attention.points == [pixel] and attention.extent == (HEIGHT, WIDTH)
        whole = attention.maps[0][2]
        assert whole.weights.shape == (12, 20)
        assert whole.target.left * WIDTH <= pixel[0] < whole.target.right * WIDTH
        assert whole.target.top * HEIGHT <= pixel[1] < whole.target.bottom * HEIGHT

    def test_of_a_padded_input(self, cfg, image):
        """80 x 48 is padded to 96 x 64: the maps are of 16 x 24, and reach beyond the image."""
        cfg.model.architecture.data_preprocessor.test_cfg = dict(size_divisor=32)
        attention = attention_of_image(trained_model(cfg), cfg, image, points=[(50, 30), (99, 59)])
        assert attention.extent == (80, 120)
        for (x, y), maps in zip(attention.points, attention.maps):
            target = maps[2].target
            assert maps[2].weights.shape == (16, 24)
            assert target.left * 120 <= x < target.right * 120
            assert target.top * 80 <= y < target.bottom * 80
        chosen = attention_of_image(trained_model(cfg), cfg, image, count=6).points
        assert all(x < WIDTH and y < HEIGHT for x, y in chosen)

    def test_of_a_cropped_input(self, model, cfg, image):
        cfg.test_dataloader.dataset.pipeline.insert(2, dict(type='CenterCrop', crop_size=(48, 40)))
        with pytest.raises(ValueError, match='crops the image: 60 x 100 .* 48 x 80, of which 40'):
            attention_of_image(model, cfg, image)

    def test_are_a_matter_of_the_teacher_alone(self, model, cfg, toy_voc):
        """Not of the student, nor of the projections."""
        image = str(next((toy_voc / 'JPEGImages').glob('val_*.jpg')))
        torch.manual_seed(7)
        again = trained_model(cfg)
        again.teacher.load_state_dict(model.teacher.state_dict())
        ours, theirs = (attention_of_image(m, cfg, image) for m in (model, again))
        assert ours.points == theirs.points and len(set(ours.points)) == 3
        assert not torch.equal(ours.maps[0][2].weights, theirs.maps[0][2].weights)


def test_all_is_as_before(cfg, image):
    model = trained_model(cfg).train()
    model.student.backbone.layer1.eval()
    modes = [module.training for module in model.modules()]
    before = {name: x.clone() for name, x in model.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    with undisturbed(model):
        assert not any(module.training for module in model.modules())
        torch.rand(1), np.random.rand(), random.random()
    attention_of_image(model, cfg, image)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all() and random.getstate() == states[2]
    assert not model.distiller.has_recorded('feature', from_student=True)
    assert not model.distiller.has_recorded('feature', from_student=False)


def test_an_image_that_cannot_be_read(tmp_path):
    (tmp_path / 'text.jpg').write_text('no pixels')
    with pytest.raises(ValueError, match='text.jpg.* cannot be read as an image'):
        read_image(str(tmp_path / 'text.jpg'))
