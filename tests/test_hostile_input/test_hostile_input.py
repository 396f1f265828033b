"""More than a hundred bad inputs: one line each, and nothing that was there is touched."""

import pytest
from bad_checkpoints import FILES as CHECKPOINTS
from bad_checkpoints import READERS
from bad_commands import COMMANDS
from bad_commands import FILES as CONFIGS
from bad_data import DATA
from bad_settings import DELETE, SETTINGS
from mmengine import Config

READ = [(reader, file) for reader, (_, _, files) in READERS.items() for file in files]


def test_there_are_more_than_a_hundred():
    assert len(SETTINGS) + len(DATA) + len(READ) + len(COMMANDS) >= 240


def spoilt(path, changes: dict, out):
    """A config file with changes by dotted key."""
    cfg = Config.fromfile(path)
    for key, value in changes.items():
        *parts, last = key.split('.')
        node = cfg
        for part in parts:
            node = node[int(part)] if part.isdigit() else node[part]
        if value is DELETE:
            node.pop(last)
        else:
            node[last] = value
    cfg.dump(out)
    text = out.read_text()
    if any(isinstance(v, float) and v != v or v == float('inf') for v in changes.values()):
        out.write_text("nan, inf = float('nan'), float('inf')\n" + text)
    return out


@pytest.mark.parametrize('name, config, changes, fragments', SETTINGS, ids=[c[0] for c in SETTINGS])
def test_setting(world, refuses, tmp_path, name, config, changes, fragments):
    path = spoilt(getattr(world, config), changes, tmp_path / 'spoilt.py')
    refuses('train', [path], fragments)


@pytest.mark.parametrize('name, spoil, settings, fragments', DATA, ids=[c[0] for c in DATA])
def test_data(world, refuses, tmp_path, name, spoil, settings, fragments):
    root = world.copy_data(tmp_path / 'data')
    spoil(root)
    options = [f'{key}={value}' for key, value in settings.items()]
    if name.startswith('validation'):  # the training before is a good one, and saves
        options.append(f'work_dir={tmp_path / "run"}')
    refuses('train', [world.plain, '--cfg-options', f'data_root={root}', *options], fragments)


@pytest.mark.parametrize('reader, file', READ)
def test_checkpoint(world, refuses, tmp_path, reader, file):
    tool, arguments, _ = READERS[reader]
    make, fragments = CHECKPOINTS[file]
    path = tmp_path / 'bad.pth'
    make(path, world)
    names = dict(world._asdict(), out=tmp_path / 'out.png')
    arguments = [a.format(path, **names) for a in arguments]
    line = refuses(tool, arguments, ('bad.pth', *fragments))
    if file == 'foreign':
        assert 'not fit' in line or 'holds a plain network' in line


@pytest.mark.parametrize(
    'tool, arguments, fragments', COMMANDS, ids=[' '.join([c[0], *c[1]]) for c in COMMANDS]
)
def test_command(world, refuses, tmp_path, monkeypatch, tool, arguments, fragments):
    for name, content in CONFIGS.items():
        (tmp_path / name).write_bytes(content)
    spoilt(world.plain, {'model.backbone.dept': 18}, tmp_path / 'typo.py')
    monkeypatch.chdir(tmp_path)
    names = dict(world._asdict(), checkpoint=world.checkpoint, tmp=tmp_path)
    refuses(tool, [argument.format(**names) for argument in arguments], fragments)
    for name, content in CONFIGS.items():
        assert (tmp_path / name).read_bytes() == content
