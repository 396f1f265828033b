"""Our own code runs no text as code, starts no shell and reads no pickle of a stranger."""

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
# What may run code or a shell, by the dotted name of the call. torch.load is none of our
# code's: mmengine's loader reads checkpoints, and compat/checkpoints.py makes it read safe content.
DANGEROUS = {
    *('eval', 'exec', 'compile', '__import__', 'os.system', 'os.popen', 'pty.spawn'),
    *('pickle.load', 'pickle.loads', 'torch.load', 'torch.jit.load', 'torch.hub.load', 'yaml.load'),
    *('marshal.loads', 'shelve.open', 'dill.load', 'dill.loads', 'joblib.load', 'cloudpickle.load'),
    *('numpy.load', 'np.load', 'importlib.import_module', 'import_module', 'mmengine.load'),
    *('subprocess.getoutput', 'subprocess.getstatusoutput', 'shutil.unpack_archive'),
}
# (file, call): why.
ALLOWED = {
    ('mmrazor_tat/compat/checkpoints.py', 'torch.load'): 'in a weights_only context alone',
    ('mmrazor_tat/utils/environment.py', 'import_module'): 'names written in our code',
}


def sources() -> list[Path]:
    folders = ('mmrazor_tat', 'tools', 'configs')
    found = [path for folder in folders for path in (REPO / folder).rglob('*.py')]
    return sorted({REPO / 'setup.py', *(p for p in found if '.mim' not in p.parts)})


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(n.func), n) for n in ast.walk(tree) if isinstance(n, ast.Call)]


def findings(tree: ast.AST, name: str) -> list[str]:
    found = []
    for call, node in calls(tree):
        is_ours = call == '__import__' and ast.unparse(node) == "__import__('mmrazor_tat')"
        if call in DANGEROUS and (name, call) not in ALLOWED and not is_ours:
            found.append(call)
        for keyword in node.keywords:
            value = ast.unparse(keyword.value)
            if (keyword.arg, value) in (('shell', 'True'), ('weights_only', 'False')):
                found.append(f'{keyword.arg}={value}')
    imported = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    renamed = [(n.module, a.name) for n in imported for a in n.names]
    return found + [f'from {m} import {a}' for m, a in renamed if f'{m}.{a}' in DANGEROUS - {
        'importlib.import_module'
    }]  # fmt: skip


def test_our_code():
    found = {}
    for path in sources():
        name = path.relative_to(REPO).as_posix()
        here = findings(ast.parse(path.read_text()), name)
        if here:
            found[name] = here
    assert found == {}


def test_every_exception_is_still_needed():
    for name, call in ALLOWED:
        assert call in [found for found, _ in calls(ast.parse((REPO / name).read_text()))], name


@pytest.mark.parametrize(
    'code, found',
    [
        ('eval(cfg.x)', ['eval']),
        ('import torch\ntorch.load(path)', ['torch.load']),
        ('subprocess.run(text, shell=True)', ['shell=True']),
        ('CheckpointLoader.load(path, weights_only=False)', ['weights_only=False']),
        ('from pickle import loads', ['from pickle import loads']),
        ("__import__('os')", ['__import__']),
        ("__import__('mmrazor_tat').model_config('x')", []),
        ('model.eval()', []),
    ],
)
def test_the_search_finds(code, found):
    assert findings(ast.parse(code), 'a.py') == found
