"""More than a hundred bad inputs: one line each, and nothing that was there is touched."""

import pytest
from bad_checkpoints import FILES as CHECKPOINTS
from bad_checkpoints import READERS
from bad_commands import COMMANDS
from bad_commands import FILES as CONFIGS
from bad_data import DATA
from bad_settings import DELETE, PLAIN, RECIPE
from mmengine import Config

SETTINGS = [*(('plain', row) for row in PLAIN), *(('recipe', row) for row in RECIPE)]
READ = [(reader, file) for reader, (_, _, files) in READERS.items() for file in files]


def test_there_are_more_than_a_hundred():
    assert len(SETTINGS) + len(DATA) + len(READ) + len(COMMANDS) >= 220


def spoilt(path, key: str, value, out):
    """A config file with another value at a dotted key."""
    cfg = Config.fromfile(path)
    *parts, last = key.split('.')
    node = cfg
    for part in parts:
        node = node[int(part)] if part.isdigit() else node[part]
    if value is DELETE:
        node.pop(last)
    else:
        node[last] = value
    cfg.dump(out)
    if value != value:  # the text of a config knows no NaN
        out.write_text("nan = float('nan')\n" + out.read_text())
    return out


@pytest.mark.parametrize('config, row', SETTINGS, ids=[f'{c}: {r[0]}' for c, r in SETTINGS])
def test_setting(world, refuses, tmp_path, config, row):
    key, value, *fragments = row
    refuses('train', [spoilt(getattr(world, config), key, value, tmp_path / 'bad.py')], fragments)


@pytest.mark.parametrize('name', DATA)
def test_data(world, refuses, tmp_path, name):
    spoil, *fragments = DATA[name]
    root = world.copy_data(tmp_path / 'data')
    spoil(root)
    options = [f'data_root={root}']
    if name.startswith('validation'):  # the training before is a good one, and saves
        options.append(f'work_dir={tmp_path / "run"}')
    refuses('train', [world.plain, '--cfg-options', *options], fragments)


@pytest.mark.parametrize('reader, file', READ)
def test_checkpoint(world, refuses, tmp_path, reader, file):
    tool, arguments, _ = READERS[reader]
    make, fragments = CHECKPOINTS[file]
    path = tmp_path / 'bad.pth'
    make(path, world)
    names = dict(world._asdict(), out=tmp_path / 'out.png')
    arguments = [a.format(path, **names) for a in arguments]
    line = refuses(tool, arguments, ('bad.pth', *fragments))
    assert 'UntrustedCheckpointError' not in line
    if file == 'foreign':
        assert 'not fit' in line or 'holds a plain network' in line


@pytest.mark.parametrize(
    'tool, arguments, fragments', COMMANDS, ids=[' '.join([c[0], *c[1]]) for c in COMMANDS]
)
def test_command(world, refuses, tmp_path, monkeypatch, tool, arguments, fragments):
    for name, content in CONFIGS.items():
        (tmp_path / name).write_bytes(content)
    spoilt(world.plain, 'model.backbone.dept', 18, tmp_path / 'typo.py')
    monkeypatch.chdir(tmp_path)
    names = dict(world._asdict(), checkpoint=world.checkpoint, tmp=tmp_path)
    refuses(tool, [argument.format(**names) for argument in arguments], fragments)
    for name, content in CONFIGS.items():
        assert (tmp_path / name).read_bytes() == content
