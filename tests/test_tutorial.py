"""The notebook's cells run as they stand, and its outputs are kept."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace


def test_the_cells_run(repo, here, tmp_path, monkeypatch, capsys):
    display = ModuleType('IPython.display')
    display.Image = lambda path, **_: path
    monkeypatch.setitem(sys.modules, 'IPython', ModuleType('IPython'))
    monkeypatch.setitem(sys.modules, 'IPython.display', display)
    monkeypatch.setenv('ITERATIONS', '4')
    monkeypatch.setenv('IMAGES', '24')
    monkeypatch.chdir(tmp_path)

    def run(command, **_):
        assert Path(command[1]).is_file()
        # matplotlib asks an IPython that is imported for its version.
        monkeypatch.delitem(sys.modules, 'IPython', raising=False)
        return SimpleNamespace(stdout=here(*command[1:]), returncode=0)

    cells = json.loads((repo / 'docs/tutorial.ipynb').read_text())['cells']
    names: dict = {}
    for number, cell in enumerate(cells):
        if cell['cell_type'] == 'code':
            exec(compile(''.join(cell['source']), f'cell {number}', 'exec'), names)
            # Its tools run in this process, seconds earlier.
            names['subprocess'] = SimpleNamespace(**{**vars(subprocess), 'run': run})
    printed = capsys.readouterr().out
    assert 'my_recipe.py is written' in printed and 'distilled student' in printed
    for name in ('panel.png', 'curves.png', 'student/student.py', 'student/student.pth'):
        assert (tmp_path / 'tutorial' / name).is_file()


def test_its_outputs_are_kept(repo):
    cells = json.loads((repo / 'docs/tutorial.ipynb').read_text())['cells']
    code = [cell for cell in cells if cell['cell_type'] == 'code']
    text = ''.join(''.join(output.get('text', '')) for cell in code for output in cell['outputs'])
    plain, ours = (
        float(re.search(rf'^{name} student +([\d.]+)$', text, re.MULTILINE)[1])
        for name in ('plain', 'distilled')
    )
    assert ours > plain
    pictures = [o for cell in code for o in cell['outputs'] if 'image/png' in o.get('data', {})]
    assert len(pictures) == 3
