"""The tools for one's own pair, through their command line."""

import pytest


@pytest.fixture
def demo(repo):
    return repo / 'configs/small/demo/teacher.py', repo / 'configs/small/demo/student.py'


def test_a_recipe_is_written_told_and_trained(
    repo, here, demo, demo_teacher, toy_options, tmp_path
):
    out = tmp_path / 'recipes/mine.py'
    tool = repo / 'tools/new_recipe.py'
    text = here(tool, *demo, '--out', out, '--teacher-ckpt', demo_teacher, '--floor', '0')
    feature = 'feature: decode_head.bottleneck.activate (before its ReLU)'
    assert f'{feature}, 32 channels, 16 x 16' in text and f'{feature}, 96 channels' in text
    assert 'patch groups: 4 x 4 patches of 4 x 4, 4 groups' in text
    assert 'anchor points: 8 x 8 means of 2 x 2' in text
    assert f'python tools/train.py {out}' in text
    train = repo / 'tools/train.py', out, '--work-dir', tmp_path / 'run', '--cfg-options'
    log = here(*train, *toy_options)
    assert 'teacher EncoderDecoder: all ' in log and 'weights and buffers loaded from' in log
    assert 'the teacher has mIoU' in log and 'on the first 4 validation images' in log
    assert 'teacher/mIoU' in log and 'student/mIoU' in log
    again = here(tool, *demo, '--out', out, ok=False)
    assert again.strip() == f'new_recipe: --out {out} exists: choose another name, or add --force'
    # Below the floor no iteration is run.
    settings = ['--teacher-ckpt', demo_teacher, '--floor', '99', '--method', 'kd', '--force']
    here(tool, *demo, '--out', out, *settings)
    log = here(*train, *toy_options, ok=False)
    assert 'below the floor of 99 that the recipe sets: check teacher_ckpt' in log
    assert 'Iter(train)' not in log


def test_the_table_of_features(repo, here, demo):
    tool = repo / 'tools/inspect_features.py'
    text = here(tool, demo[1], '--filter', r'bottleneck|layer4\.1\.relu')
    lines = {line.split()[0]: line for line in text.splitlines()[1:]}
    assert 'EncoderDecoder, input 1 x 3 x 64 x 64' in text
    assert set(lines) == {
        *('source', 'backbone.layer4.1.relu'),
        *(f'decode_head.bottleneck{part}' for part in ('', '.conv', '.bn', '.activate')),
    }
    relu = lines['backbone.layer4.1.relu']
    assert '1 x 64 x 16 x 16' in relu and 'runs 2 times' in relu
    assert 'post-activation' in relu and "type='PreActivation' records what it takes" in relu
    assert lines['decode_head.bottleneck.bn'].split()[-1] == 'pre-activation'
    assert lines['decode_head.bottleneck'].split()[-1] == 'post-activation'
    conv = lines['decode_head.bottleneck.conv'].split()
    assert conv[1:] == ['Conv2d', *['1', 'x', '32', 'x', '16', 'x', '16'], '32', '4']
    recipe = repo / 'configs/small/demo/tat_student.py'
    text = here(tool, recipe, '--part', 'teacher', '--filter', 'conv_seg|bottleneck.conv')
    assert '1 x 96 x 16 x 16' in text


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--filter', 'nothing'], "--filter 'nothing': no module that runs has such a name"),
        (['--filter', '('], "--filter '(' is no regular expression"),
        (['--part', 'teacher'], 'is no distillation recipe: it has no teacher'),
    ],
)
def test_bad_input_of_the_table(repo, here, demo, arguments, message):
    text = here(repo / 'tools/inspect_features.py', demo[1], *arguments, ok=False)
    assert message in text and 'Traceback' not in text


def test_flops_of_teacher_and_student(repo, here, demo):
    """A convolution's are known by hand; four times the pixels, about four times the work."""
    tool, recipe = repo / 'tools/get_flops.py', repo / 'configs/small/demo/tat_student.py'
    rows = {}
    for side in (64, 128):
        text = here(tool, recipe, '--size', side, side)
        assert f'input 1 x 3 x {side} x {side}' in text or f'input 1 x {side} x {side}' in text
        cells = [line.split('|') for line in text.splitlines() if line.startswith('| ')]
        rows[side] = {line[1].strip(): [x.strip() for x in line[2:-1]] for line in cells}
    assert rows[64]['student'][:2] == ['ResNetV1c + ASPPHead', '0.25']
    assert rows[64]['teacher'][1] == '2.28' and rows[64]['teacher / student'][1] == '9.0 x'
    for role in ('student', 'teacher'):
        small, large = (float(rows[side][role][2]) for side in (64, 128))
        assert 3.5 < large / small < 4.5
    text = here(tool, demo[1], '--size', 64, 64)
    assert '| network | ResNetV1c + ASPPHead | 0.25 |' in text
