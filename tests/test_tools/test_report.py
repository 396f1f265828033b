"""The report of a run: what stands on the page, and what is said where something is missing."""

import base64
import io
import re
import shutil
import urllib.error
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.runner import CheckpointLoader
from PIL import Image

from mmrazor_tat.datasets.toy_scenes import PALETTE
from mmrazor_tat.visualization.report import gather, save_report


class Page(HTMLParser):
    """Titles, images, links, cells of tables and text of a page."""

    def __init__(self, path) -> None:
        super().__init__()
        self.images, self.links, self.rows, self.text = {}, [], [], []
        self.tags = []
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag == 'img':
            self.images[attributes['alt']] = attributes['src']
        if tag == 'tr':
            self.rows.append([])
        self.links += [v for k, v in attributes.items() if k in ('href', 'src', 'action')]

    def handle_data(self, data):
        if self.tags and self.tags[-1] in ('td', 'th') and data.strip():
            self.rows[-1].append(data.strip())
        self.text.append(data)

    def pixels(self, alt) -> np.ndarray:
        data = base64.b64decode(self.images[alt].removeprefix('data:image/png;base64,'))
        return np.array(Image.open(io.BytesIO(data)).convert('RGB'))


@pytest.fixture(scope='module')
def page(demo_run) -> Page:
    return Page(demo_run[0] / 'report.html')


def test_the_page_of_the_demo(demo_run, page):
    assert len(page.images) > 30
    assert all(link.startswith(('data:image/png;base64,', '#')) for link in page.links)
    assert not {'script', 'link', 'iframe', 'object'} & set(page.tags)  # it stands alone
    assert 'FrozenTeacherDistill' in ''.join(page.text)
    (alt, *_) = [alt for alt in page.images if alt.startswith('Attention on ')]
    name = re.fullmatch(r'Attention on (\w+), before and after', alt).group(1)
    assert f'{name}: label' in page.images
    # The table is the one that the demo printed.
    printed = dict(re.findall(r'^(teacher|student|TaT student) +([\d.]+) +', demo_run[1], re.M))
    rows = {row[0]: row[1:] for row in page.rows if row and row[0] in printed}
    of_networks = [row for row in page.rows if row[0] in printed and len(row) == 2]
    assert set(map(tuple, of_networks)) == set(printed.items())  # evaluated anew
    titles = next(row for row in page.rows if row[:2] == ['run', 'iterations'])
    assert titles == ['run', 'iterations', 'last mIoU', 'best mIoU']  # no GPU
    first = next(row for row in page.rows if len(row) == 4 and row[0] == 'TaT student')
    assert first[1:3] == ['4', printed['TaT student']]
    assert rows.keys() == printed.keys()


def test_panels_show_the_labels_in_their_colours(demo_run, page):
    labels = [alt for alt in page.images if alt.endswith(': label')]
    assert len(labels) == 6
    for alt in labels:
        name = alt.removesuffix(': label')
        label = np.array(Image.open(demo_run[0] / f'data/SegmentationClass/{name}.png'))
        shown = page.pixels(alt)
        for index, colour in enumerate(PALETTE):
            assert (shown[label == index] == colour).all()
        assert (shown[label == 255] == 255).all()


@pytest.fixture
def run(demo_run, tmp_path):
    """A copy of the distillation's work dir."""
    # What other tests add to the run stays behind.
    added = shutil.ignore_patterns('report.html', 'attention')
    return shutil.copytree(demo_run[0] / 'tat_student', tmp_path / 'run', ignore=added)


def test_what_cannot_be_had_is_named_and_the_rest_is_shown(run):
    gone = {'model.teacher_ckpt': 'gone.pth'}
    found = gather(run, options=gone)
    no_panels, no_attention = found.notes
    assert no_panels.startswith("no segmentation panels: teacher_ckpt: there is no file 'gone.pth'")
    assert no_attention.startswith('no attention pictures: teacher_ckpt')
    save_report(found, run / 'report.html')
    page = Page(run / 'report.html')
    assert no_panels in ''.join(page.text)
    assert list(page.images) == ['Training curves: losses, learning rate, validation']
    for path in run.glob('*.pth'):
        path.unlink()
    assert 'holds no checkpoint' in gather(run).notes[0]


def test_names_come_from_the_folders(demo_run, tmp_path):
    """The command as the README has it: without labels."""
    runs = [demo_run[0] / name for name in ('tat_student', 'student', 'teacher')]
    found = gather(runs[0], runs[1], runs[2:], count=2, attention_images=0)
    save_report(found, tmp_path / 'page.html')
    page = Page(tmp_path / 'page.html')
    text = ''.join(page.text)
    assert 'Report of tat_student' in text and 'Best gains: tat_student over student' in text
    assert 'only tat_student right' in text and 'only student right' in text
    # The teacher as it was evaluated beside the student, then the runs.
    names = ['teacher', 'tat_student', 'student', 'teacher']
    assert [row[0] for row in page.rows[1:5]] == names
    assert 'None' not in text.split('All settings of the run')[0] and found.notes == []


def test_plain_networks(demo_run, tmp_path):
    """One that is not the student's, and one by itself."""
    runs = [demo_run[0] / name for name in ('tat_student', 'teacher', 'student')]
    (note,) = gather(*runs[:2], count=2, attention_images=0).notes
    assert note.startswith('teacher trained another network than the student of tat_student')
    found = gather(runs[2], count=2)
    assert [score.role for score in found.comparison.scores] == ['student']
    assert found.attention == {} and found.notes == []
    save_report(found, tmp_path / 'page.html')
    assert 'Attention</h2>' not in (tmp_path / 'page.html').read_text()


def test_a_diverged_run_has_a_page(run, tmp_path):
    path = run / 'iter_4.pth'
    content = torch.load(path, weights_only=False)
    for name, value in content['state_dict'].items():
        if name.endswith('bottleneck.conv.weight'):
            value.fill_(float('nan'))
    torch.save(content, path)
    found = gather(run, count=1, attention_images=1)
    save_report(found, tmp_path / 'page.html')
    page = Page(tmp_path / 'page.html')
    assert sum(alt.startswith('Attention on') for alt in page.images) == 1


def test_a_config_that_was_half_written(run):
    (config,) = run.glob('*/vis_data/config.py')
    config.write_text(config.read_text()[:300])
    found = gather(run, count=1, attention_images=0)
    assert found.comparison is not None  # by the config in the work dir
    assert any('vis_data/config.py cannot be read' in note for note in found.notes)


def test_a_teacher_that_cannot_be_fetched_or_is_another(run, demo_run, monkeypatch):
    def load_from_nowhere(name, map_location):
        raise urllib.error.URLError('no network')

    url = 'https://example.invalid/teacher.pth'
    with monkeypatch.context() as patch:
        patch.setitem(CheckpointLoader._schemes, 'https://', load_from_nowhere)
        found = gather(run, options={'model.teacher_ckpt': url})
    said = f"no segmentation panels: teacher_ckpt: checkpoint '{url}' cannot be had: "
    assert said in found.notes[0]
    other = torch.load(demo_run[0] / 'teacher/iter_4.pth', weights_only=False)
    other['state_dict']['decode_head.conv_seg.bias'] += 1
    torch.save(other, run / 'other.pth')
    found = gather(run, options={'model.teacher_ckpt': str(run / 'other.pth')}, count=1)
    assert found.comparison is None and found.attention == {}
    assert all('was made with another teacher than teacher_ckpt' in note for note in found.notes)
    assert len(found.notes) == 2


def test_logs_only_of_a_run_that_has_not_finished(run):
    (config,) = run.glob('*/vis_data/config.py')
    cfg = Config.fromfile(config)
    cfg.train_cfg.max_iters = 1000
    cfg.dump(config)
    found = gather(run, labels=['<b>bold</b>'], with_networks=False)
    assert found.comparison is None and found.attention == {} and found.notes == []
    save_report(found, run / 'page.html')
    page = Page(run / 'page.html')
    text = ''.join(page.text)
    assert 'b' not in page.tags and 'Report of <b>bold</b>' in text
    assert '4 of 1,000 iterations, not finished.' in text


def test_pictures_of_the_hook(run):
    """The first and the last of each image, over all starts."""
    for start, step, grey in (('1', 0, 10), ('1', 2, 20), ('2', 4, 30)):
        folder = run / start / 'vis_data/vis_image'
        folder.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (4, 4), (grey,) * 3).save(folder / f'attention_val_00001_{step}.png')
    found = gather(run, with_networks=False)
    assert [step for step, _ in found.pictures['val_00001']] == [0, 4]
    save_report(found, run / 'page.html')
    (run / '2/vis_data/vis_image/attention_val_00001_6.png').write_bytes(b'half of a PNG')
    assert gather(run, with_networks=False).pictures == found.pictures
    page = Page(run / 'page.html')
    assert (page.pixels('Attention on val_00001 at iteration 0') == 10).all()
    assert (page.pixels('Attention on val_00001 at iteration 4') == 30).all()


def test_the_tool(repo, here, run, demo_run):
    tool = repo / 'tools/report.py'
    for arguments, message in (
        ([run, '--out', 'page.pdf'], "report: --out 'page.pdf' must be a file .html"),
        ([run, '--count', 0], 'report: count must be at least 1, got 0'),
        ([run, '--labels', 'a', 'b'], 'report: 2 labels for 1 runs: a, b'),
        ([run.parent], 'is no work dir of a run'),
    ):
        log = here(tool, *arguments, ok=False)
        assert message in log and 'Traceback' not in log
    assert not (run / 'report.html').exists()
    some = ['--count', 2, '--attention-images', 1, '--points', '20,30']
    log = here(tool, run, '--plain', demo_run[0] / 'student', *some)
    assert log.rstrip().endswith(f'{run / "report.html"} is written')
    page = Page(run / 'report.html')
    assert sum(alt.endswith(': label') for alt in page.images) == 2
    assert sum(alt.startswith('Attention on') for alt in page.images) == 1
