"""The notebook's cells run as they stand, and its outputs are kept."""

import json
import os
import re
import subprocess
import sys

RUN = """
import json, sys, types
display = types.ModuleType('IPython.display')
display.Image = lambda path, **_: path
sys.modules.update({'IPython': types.ModuleType('IPython'), 'IPython.display': display})
cells = json.load(open(sys.argv[1]))['cells']
names = {}
for number, cell in enumerate(cells):
    if cell['cell_type'] == 'code':
        exec(compile(''.join(cell['source']), f'cell {number}', 'exec'), names)
"""


def test_the_cells_run(repo, tmp_path):
    run = subprocess.run(
        [sys.executable, '-c', RUN, str(repo / 'docs/tutorial.ipynb')],
        cwd=tmp_path,
        env={**os.environ, 'ITERATIONS': '4', 'IMAGES': '24'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert 'my_recipe.py is written' in run.stdout and 'distilled student' in run.stdout
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
