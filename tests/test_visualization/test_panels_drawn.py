"""The drawn panels: colours at known pixels, of the PNG and of the images within the page."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from mmrazor_tat.visualization.figures import BLUE, ORANGE
from mmrazor_tat.visualization.panels import (
    Comparison,
    NetworkScores,
    Sample,
    Section,
    check_out,
    panels_context,
    save_panels,
    scores_table,
)
from mmrazor_tat.visualization.panels.paint import (
    ERROR_COLOURS,
    MOST_CLASSES,
    class_legend,
    error_map,
    paint_label,
    rgb,
)

PALETTE = np.array([[0, 0, 0], [220, 60, 50], [50, 130, 220]], np.uint8)
WHITE = (255, 255, 255)
BOTH_RIGHT, BOTH_WRONG = (212, 212, 212), (43, 43, 43)
GAIN, LOSS = rgb(BLUE), rgb(ORANGE)


def stripes(*ids) -> np.ndarray:
    """(20, 50): a stripe of 10 columns for each id."""
    return np.tile(np.repeat(np.array(ids, np.int16), 10), (20, 1))


# A stripe each: both right, the student alone, the plain student alone, both wrong, ignored.
LABEL = stripes(0, 1, 2, 0, 255)
STUDENT = stripes(0, 1, 0, 1, 0)
PLAIN = stripes(0, 0, 2, 2, 0)
TEACHER = stripes(0, 1, 2, 0, 0)


def comparison(roles=('teacher', 'plain', 'student'), classes=('background', '<b>', 'cross')):
    names = dict(teacher='teacher', plain='plain student', student='distilled student')
    maps = dict(teacher=TEACHER, plain=PLAIN, student=STUDENT)
    counts = np.array([[[300, 200, 0], [0, 0, 0]]]), np.array([[[400, 400, 0], [0, 0, 0]]])
    scores = [NetworkScores(names[r], r, counts[0][0], counts[1][0]) for r in roles]
    image = np.full((20, 50, 3), (10, 200, 30), np.uint8)
    sample = Sample(3, 'val_3', image, LABEL, [maps[r] for r in roles], [62.5] * len(roles), 12.34)
    return Comparison(classes, PALETTE, 255, scores, [Section('Best gains & more', [sample])])


def test_the_five_kinds_of_pixels():
    assert paint_label(np.array([[-100, 3]]), PALETTE).tolist() == [[[255] * 3] * 2]
    assert error_map(LABEL, STUDENT, PLAIN, 255)[0, 5::10].tolist() == [0, 1, 2, 3, 4]
    assert error_map(LABEL, STUDENT, None, 255)[0, 5::10].tolist() == [0, 0, 3, 3, 4]
    colours = [rgb(c) for c in ERROR_COLOURS]
    assert colours == [BOTH_RIGHT, GAIN, LOSS, BOTH_WRONG, WHITE]
    # They differ in lightness, so are told apart without any colour vision.
    assert min(np.diff(sorted(np.array(colours) @ [0.2126, 0.7152, 0.0722]))) > 30


def images_of(page: str) -> dict[str, np.ndarray]:
    """RGB by alternative text."""
    found = re.findall(r'<img[^>]* alt="([^"]*)" src="data:image/png;base64,([^"]*)">', page)
    assert len(found) == page.count('<img')
    return {
        alt: np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert('RGB'))
        for alt, data in found
    }


def test_the_pixels_of_the_page(tmp_path):
    save_panels(comparison(), tmp_path / 'page.html', 'Panels', [('config', 'a.py')])
    images = images_of((tmp_path / 'page.html').read_text())
    columns = ['image', 'label', 'teacher', 'plain student', 'distilled student', 'error map']
    assert list(images) == [f'val_3: {column}' for column in columns]
    assert all(image.shape == (20, 50, 3) for image in images.values())
    image, *maps, errors = images.values()
    assert (image == (10, 200, 30)).all()
    for drawn, ids in zip(maps, (LABEL, TEACHER, PLAIN, STUDENT), strict=True):
        colours = {**dict(enumerate(PALETTE.tolist())), 255: [255] * 3}
        assert drawn[10, 5::10].tolist() == [colours[i] for i in ids[10, 5::10]]
        assert (drawn == paint_label(ids, PALETTE)).all()
    kinds = BOTH_RIGHT, GAIN, LOSS, BOTH_WRONG, WHITE
    assert errors[10, 5::10].tolist() == list(map(list, kinds))


def test_the_page_stands_alone_and_escapes(tmp_path):
    save_panels(comparison(), tmp_path / 'page.html', 'Panels <i>', [('config', '<a>.py')])
    page = (tmp_path / 'page.html').read_text()
    bare = re.sub(r'data:image/png;base64,[A-Za-z0-9+/=]*', 'data:', page)
    assert set(re.findall(r'src="([^"]*)"', bare)) == {'data:'}
    assert not re.search(r'http|url\(|@import|<script|<link|<iframe|href', bare)
    assert '<b>' not in page and bare.count('&lt;b&gt;') == 2  # legend and table
    assert 'Panels &lt;i&gt;' in page and '&lt;a&gt;.py' in page and 'Best gains &amp; more' in page
    assert bare.count('class="pixelated"') == 6  # 50 pixels are shown larger
    for text in ('62.5 mIoU', 'gain +12.3', 'only distilled student right', '2 validation images'):
        assert text in bare, text
    # Per class: 75, 50 and a class that does not occur.
    rows = re.findall(r'<tr><td>(\S+)</td><td class="number">(\S+)</td>', bare)
    assert ('background', '75.00') in rows and ('cross', '-') in rows
    assert re.findall(r'<td>teacher</td><td class="number">(\S+)</td>', bare) == ['62.50']


def test_the_pixels_of_the_png(tmp_path):
    save_panels(comparison(), tmp_path / 'sub/panel.png')
    picture = np.array(Image.open(tmp_path / 'sub/panel.png').convert('RGB'))
    assert picture.shape[1] == pytest.approx((2 * 0.15 + 6 * 1.88 - 0.08) * 120, abs=1)
    # A stripe of a cell (1.8 inches wide, of 20 x 50 pixels) covers 43 x 86 pixels.
    stripe = 1.8 / 5 * 120 * (1.8 * 20 / 50) * 120
    cells = np.array_split(picture, 6, axis=1)

    def stripes_of(column: int, colour) -> float:
        """How many stripes have a colour, in the upper part: the legends lie below."""
        part = cells[column][: int(1.9 * 120)]
        return (part == np.array(colour)).all(-1).sum() / stripe

    assert stripes_of(0, (10, 200, 30)) == pytest.approx(5, rel=0.05)
    for column, ids in enumerate((LABEL, TEACHER, PLAIN, STUDENT), start=1):
        shown = ids[10, 5::10].tolist()
        for index in (1, 2):
            expected = pytest.approx(shown.count(index), rel=0.06, abs=0.01)
            assert stripes_of(column, PALETTE[index]) == expected, column
    errors = [BOTH_RIGHT, GAIN, LOSS, BOTH_WRONG]
    assert all(stripes_of(5, colour) == pytest.approx(1, rel=0.15) for colour in errors)
    # Every colour of the error map stands once more, in the legend below.
    below = picture[int(1.9 * 120) :].reshape(-1, 3)
    for colour in errors:
        assert (below == colour).all(-1).sum() > 50


def test_without_a_plain_student():
    context = panels_context(comparison(('teacher', 'student')))
    titles = [title for title, _ in context['columns']]
    assert titles == ['image', 'label', 'teacher', 'distilled student', 'error map']
    assert [e.name for e in context['errors']] == ['right', 'wrong', 'ignored']
    assert context['sections'][0]['rows'][0][-1]['caption'] == '+12.3 to teacher'
    alone = panels_context(comparison(('student',)))
    assert alone['sections'][0]['rows'][0][-1]['caption'] == '' and len(alone['columns']) == 4


def test_the_legend_is_cut_where_there_are_many_classes():
    count = MOST_CLASSES + 6
    ids = np.repeat(np.arange(count, dtype=np.int16), np.arange(count) + 1)[None]
    ones = np.ones((1, count + 9), int)
    scores = NetworkScores('p', 'student', ones, ones)
    palette = np.stack([np.arange(count + 9)] * 3, axis=1).astype(np.uint8)
    sample = Sample(0, 'a', np.zeros((1, ids.size, 3), np.uint8), ids, [ids], [50.0], 50.0)
    names = tuple(map(str, range(count + 9)))
    shown = Comparison(names, palette, 255, [scores], [Section('t', [sample])])
    entries, more = class_legend(shown)
    assert [e.name for e in entries] == [str(i) for i in range(6, count)] and more == 6
    assert entries[-1].colour == '#232323'  # 35


def test_the_table_and_where_it_is_written(tmp_path):
    assert scores_table(comparison()) == (
        '2 validation images    mIoU\n'
        'teacher               62.50\n'
        'plain student         62.50\n'
        'distilled student     62.50'
    )
    with pytest.raises(ValueError, match="--out 'panel.jpg' must end with .png or .html"):
        check_out('panel.jpg')
    check_out('a/panel.html', 201)
    with pytest.raises(ValueError, match='count 201: a .png shows at most 200 images'):
        check_out('panel.png', 201)
    (tmp_path / 'a.png').mkdir()
    with pytest.raises(ValueError, match="a.png' is a folder"):
        save_panels(comparison(), tmp_path / 'a.png')
