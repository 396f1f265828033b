"""benchmarks/mmrazor_tests.py on a small stand-in for a checkout."""

import importlib.util
import sys

import pytest


@pytest.fixture(scope='module')
def tool(repo):
    spec = importlib.util.spec_from_file_location('tool', repo / 'benchmarks/mmrazor_tests.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tool, tmp_path):
    """A folder with all files that the tool asks for; one holds tests, one known to fail."""
    root = tmp_path / 'checkout'
    (root / 'mmrazor').mkdir(parents=True)
    (root / 'mmrazor/__init__.py').write_text('raise ImportError("the checkout, not mmrazor")')
    for name in tool.TESTS:
        path = root / name
        (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text('')
    (root / 'tests/test_models/test_losses/test_distillation_losses.py').write_text(
        'import sys, unittest, mmrazor\n'
        'class TestLosses(unittest.TestCase):\n'
        '    def test_good(self):\n'
        '        assert "mmrazor_tat" in sys.modules\n'
        '    def test_kdSoftce_loss(self):\n'
        '        raise TypeError("PlaceHolder")\n'
        '    @unittest.skip("why")\n'
        '    def test_left_out(self):\n'
        '        pass\n'
    )
    return root


def test_a_checkout(tool, checkout, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out.md'
    monkeypatch.setattr(sys, 'argv', ['tool', str(checkout), '--out', str(out)])
    with pytest.raises(SystemExit) as end:
        tool.main()
    text = capsys.readouterr().out
    assert end.value.code == 0 and out.read_text() == text
    assert text.startswith('Checkout unknown, python 3.') and 'mmrazor 1.0.0' in text
    assert '| 1 of 3 | 1 | 0 | 1 | 0 |' in text
    assert text.endswith('needs mmcls, which MMPreTrain has replaced.\n')
    with pytest.raises(SystemExit, match='^mmrazor_tests: --out .* exists; --force writes'):
        tool.main()


def test_the_unexpected(tool):
    raw_load, *_, mmcls = list(tool.EXPECTED)[:4]
    good = [tool.Result('a.B.c', '', False), tool.Result(mmcls, 'TypeError: PlaceHolder', False)]
    assert tool.table(good)[1]
    # Known to fail on some stacks only.
    text, fine = tool.table([*good, tool.Result(raw_load, '', False)])
    assert fine and '| 2 of 3 | 1 | 0 | 0 | 0 |' in text
    for name, error, said in (
        ('d.E.f', 'ValueError: x', 'fails unexpectedly: ValueError: x\n'),
        (mmcls, 'ImportError: y', 'fails unexpectedly: ImportError: y\n'),
        (mmcls, '', 'passes: take it from the list'),
    ):
        text, fine = tool.table([tool.Result(name, error, False)])
        assert not fine and f'* **{name}** {said}' in text


def test_no_checkout(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tool', str(tmp_path / 'none')])
    with pytest.raises(SystemExit) as end:
        tool.main()
    path = str(tmp_path / 'none')
    assert end.value.code == (
        f'mmrazor_tests: checkout {path!r} is no checkout of MMRazor 1.0.0: there is no mmrazor'
    )
