"""The rooms, who knows whom, and the sizes that docs/design.md and DESIGN speak of."""

import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parent.parent
PACKAGE = REPO / 'mmrazor_tat'
ROOMS = {
    *('functional', 'ops', 'models', 'datasets', 'engine', 'visualization', 'export'),
    *('recipes', 'benchmark', 'data_preparation', 'diagnosis', 'utils', 'compat'),
}


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def sources() -> list[Path]:
    return sorted(
        path
        for folder in (PACKAGE, REPO / 'tools')
        for path in folder.rglob('*.py')
        if '.mim' not in path.parts
    )


def test_the_rooms_are_those_of_the_page():
    found = {
        path.name.removesuffix('.py') for path in PACKAGE.iterdir() if path.suffix in ('.py', '')
    }
    assert found - {'__init__', 'version', '__pycache__', '.mim'} == ROOMS
    page = (REPO / 'docs/design.md').read_text()
    named = re.findall(r'^\| `(\w+)[./]', page, re.MULTILINE)
    assert set(named) == ROOMS
    for room in ROOMS:
        text = (PACKAGE / room / '__init__.py').read_text()
        assert re.match('r?"""', text), room


def test_a_file_has_40_to_250_lines():
    """But a room's face, a component that is registered, and a command."""
    wrong = []
    for path in sources():
        name, count = path.relative_to(REPO).as_posix(), lines(path)
        if count > 250:
            wrong.append((name, count))
        is_face = path.name in ('__init__.py', 'version.py', 'worker.py')
        is_part = 'register_module' in path.read_text() or path.parent.name == 'tools'
        if count < 40 and not is_face and not is_part:
            wrong.append((name, count))
    assert not wrong


def test_the_whole():
    total = sum(map(lines, sources()))
    assert total <= 20_200  # DESIGN asks for 18,000, "Less of our own" for 15,000
    for room in ROOMS:
        size = sum(lines(path) for path in (PACKAGE / room).rglob('*.py'))
        assert size <= total / 5, room


def test_a_recipe_is_short():
    """Ten lines at most, six of nearly all."""
    folders = [path.parent for path in (REPO / 'configs').glob('*/metafile.yml')]
    recipes = [
        path
        for folder in folders
        if folder.name not in ('students', 'teachers')
        for path in folder.glob('*.py')
    ]
    counts = [lines(path) for path in recipes]
    assert max(counts) <= 10 and sum(count > 6 for count in counts) <= 12


def test_an_import_brings_no_pictures_export_or_suites():
    code = (
        'import sys, mmrazor_tat\n'
        "rooms = ('visualization', 'export', 'recipes', 'benchmark', 'data_preparation')\n"
        "print([m for m in sys.modules if m == 'matplotlib' or m.split('.')[:1] == ['mmrazor_tat'] "
        "and m.split('.')[1:2] and m.split('.')[1] in rooms])"
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=REPO)
    assert run.stdout.splitlines()[-1] == '[]', run.stdout + run.stderr[-2000:]


def test_contributing_has_at_most_twenty_rows():
    rows = re.findall(r'^\| (?!you want|---)', (REPO / 'CONTRIBUTING.md').read_text(), re.MULTILINE)
    assert len(rows) <= 20


if __name__ == '__main__':  # make lines
    for room in sorted(ROOMS):
        print(f'{sum(lines(path) for path in (PACKAGE / room).rglob("*.py")):6,}  {room}')
    print(f'{sum(map(lines, (REPO / "tools").glob("*.py"))):6,}  tools')
    print(f'{sum(map(lines, sources())):6,}  package and tools')
    print(f'{sum(map(lines, (REPO / "tests").rglob("*.py"))):6,}  tests')
