"""tools/diagnose.py: a recipe before its training, a run after it, and what it refuses."""

import json

import pytest


@pytest.fixture
def demo(repo, toy_voc):
    """Arguments: the demo's recipe with its trained teacher on the small data set."""
    return [
        repo / 'configs/small/demo/tat_student.py',
        '--num-images=4',
        '--num-batches=2',
        '--cfg-options',
        f'data_root={toy_voc}',
        f'model.teacher_ckpt={repo}/configs/small/demo/teacher.pth',
        'train_dataloader.batch_size=4',
    ]


def test_a_recipe_before_its_training(here, demo, tmp_path):
    files = f'--out={tmp_path}/page.html', f'--json={tmp_path}/found.json'
    fault = 'model.distiller.distill_losses.loss_tat.scale=1.0'
    text = here('tools/diagnose.py', *demo, fault, *files)
    assert text.startswith('1. a softmax in loss_tat is nearly one-hot\n   measured: entropy ')
    assert 'do this:  --cfg-options model.distiller.distill_losses.loss_tat.scale=auto' in text
    assert 'Not checked: it needs the work dir of a run' in text
    found = json.loads((tmp_path / 'found.json').read_text())
    assert found['findings'][0]['cause'] == 'a softmax in loss_tat is nearly one-hot'
    assert 50 < found['measured']['teacher']['score'] <= 100
    gradients = found['measured']['gradients']['feature']
    assert gradients['task']['share'] + gradients['loss_tat']['share'] == pytest.approx(1)
    page = (tmp_path / 'page.html').read_text()
    assert page.count('data:image/png') >= 3  # the bars, the predictions, the attention
    assert 'nearly one-hot' in page and 'http' not in page.split('</style>')[1]


def test_a_run_after_its_training(here, distillation, tmp_path):
    distillation(2, 'run').train()
    folder = tmp_path / 'run'
    text = here('tools/diagnose.py', folder, f'--plain={folder}', '--num-images=4', ok=False)
    assert 'a distillation was trained there' in text
    text = here('tools/diagnose.py', folder, '--num-images=4')
    assert '1. the teacher knows next to nothing of the validation data' in text
    assert 'it needs a log of at least two validations' in text


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere.py'], "there is no config 'nowhere.py'"),
        (['student'], 'is no distillation recipe'),
        (['--num-images=0'], 'num_images must be at least 1, got 0'),
        (['--checkpoint=nowhere.pth'], "no file 'nowhere.pth'"),
        (['--plain=nowhere'], "there is no folder 'nowhere'"),
        (['--out=page.pdf'], "--out 'page.pdf' must be a file .html"),
    ],
)
def test_what_cannot_be_diagnosed(here, repo, demo, arguments, message):
    if not arguments[0].startswith('--'):
        name = repo / 'configs/small/demo/student.py' if arguments == ['student'] else arguments[0]
        demo, arguments = [name, *demo[1:4], demo[4]], []
    text = here('tools/diagnose.py', *demo, *arguments, ok=False)
    assert text.splitlines()[-1].startswith('diagnose: ') and message in text
