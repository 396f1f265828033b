"""Run MMRazor's own distillation tests, from a checkout of it, on this stack and our compat.

The installed mmrazor is tested, not the checkout's; nothing is fetched.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from mmrazor_tat import compat
from mmrazor_tat.utils.command_line import one_line_errors
from mmrazor_tat.utils.environment import versions
from mmrazor_tat.utils.files import write_atomically

# The path that our recipes use. In this order, the alphabet's: a class of these tests takes a name
# out of the registry that another file put there.
TESTS = (
    'tests/test_core/test_delivers',
    'tests/test_core/test_recorders',
    'tests/test_engine/test_hooks/test_stop_distillation_hook.py',
    'tests/test_models/test_algorithms/test_datafree_distill.py',
    'tests/test_models/test_algorithms/test_ofd_algo.py',
    'tests/test_models/test_algorithms/test_self_distill.py',
    'tests/test_models/test_algorithms/test_single_teacher_distill.py',
    'tests/test_models/test_architectures/test_connectors',
    'tests/test_models/test_distillers',
    'tests/test_models/test_losses',
    'tests/test_runners/test_distill_val_loop.py',
)


class Expected(NamedTuple):
    """A test that is known to fail."""

    says: str  # in the first line of its failure
    reason: str
    on_all_stacks: bool = True


_RAW_LOAD = Expected(
    'Weights only load failed',
    'the test itself calls torch.load on a checkpoint of mmengine, which torch >= 2.6 refuses',
    on_all_stacks=False,
)
_VAL_LOOP = Expected(
    'KeyError: -1',
    "the test's toy model predicts a dict, mmengine since takes lists of samples; no recipe "
    'of ours uses this loop',
)
EXPECTED = {
    'test_function_outputs_deliver.TestFuncOutputsDeliver.test_ema_hook': _RAW_LOAD,
    'test_func_inputs_recorder.TestFuncInputsRecorder.test_ema_hook': _RAW_LOAD,
    'test_distillation_losses.TestLosses.test_dafl_loss': Expected(
        'Default process group has not been initialized',
        'data-free distillation gathers over processes that the test never starts, which newer '
        'torch refuses; no recipe of ours uses it',
        on_all_stacks=False,
    ),
    'test_distillation_losses.TestLosses.test_kdSoftce_loss': Expected(
        'PlaceHolder', 'KDSoftCELoss needs mmcls, which MMPreTrain has replaced'
    ),
    'test_distill_val_loop.TestSingleTeacherDistillValLoop.test_run': _VAL_LOOP,
    'test_distill_val_loop.TestSelfDistillValLoop.test_run': _VAL_LOOP,
}

# As the first entry of the path stands the checkout, which holds a package mmrazor too.
_RUN = (
    'import sys; sys.path.pop(0); import mmrazor_tat, pytest; sys.exit(pytest.main(sys.argv[1:]))'
)


class Result(NamedTuple):
    name: str  # file.Class.test
    failure: str  # first line; '' where it passed
    skipped: bool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkout', type=Path, help='folder of a checkout of MMRazor 1.0.0')
    parser.add_argument('--out', type=Path, help='write the table there too (Markdown)')
    parser.add_argument('--force', action='store_true', help='write over --out')
    return parser.parse_args()


def run(checkout: Path) -> list[Result]:
    """The results of ``TESTS``, in a process of its own.

    Raises:
        ValueError: it is no checkout of MMRazor, lacks a test file, or no test ran.
    """
    lacks = [name for name in ('mmrazor', *TESTS) if not (checkout / name).exists()]
    if lacks:
        raise ValueError(
            f'checkout {str(checkout)!r} is no checkout of MMRazor 1.0.0: there is no {lacks[0]}'
        )
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / 'report.xml'
        options = ['-q', '-p', 'no:cacheprovider', '-o', 'addopts=', f'--junitxml={report}']
        done = subprocess.run(
            [sys.executable, '-c', _RUN, *options, *TESTS],
            cwd=checkout,
            env={**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if not report.exists():
            last = (done.stdout.strip().splitlines() or ['nothing'])[-1]
            raise ValueError(f'pytest wrote no report; it ended with: {last}')
        cases = list(ElementTree.parse(report).iter('testcase'))
    if not cases:
        raise ValueError(f'no test of checkout {str(checkout)!r} ran')
    return [_result(case) for case in cases]


def _result(case: ElementTree.Element) -> Result:
    owner = case.get('classname', '').split('.')
    name = '.'.join([*owner[-2:], case.get('name', '')])
    failed = case.find('failure') if case.find('failure') is not None else case.find('error')
    text = '' if failed is None else (failed.get('message') or 'failed').splitlines()[0]
    return Result(name, text, case.find('skipped') is not None)


def table(results: list[Result]) -> tuple[str, bool]:
    """(Markdown, whether all came as expected)."""
    failed = {result.name: result.failure for result in results if result.failure}
    ran = {result.name for result in results}
    skipped = sum(result.skipped for result in results)
    known = [n for n, e in EXPECTED.items() if n in failed and e.says in failed[n]]
    unexpected = {name: text for name, text in failed.items() if name not in known}
    mended = [n for n, e in EXPECTED.items() if n in ran - set(failed) and e.on_all_stacks]
    passed = len(ran) - len(failed) - skipped
    lines = [
        '| passed | failed as expected | failed unexpectedly | skipped | passed unexpectedly |',
        '| --- | --- | --- | --- | --- |',
        f'| {passed} of {len(ran)} | {len(known)} | {len(unexpected)} | {skipped} | '
        f'{len(mended)} |',
        '',
        *(f'* {name}: {EXPECTED[name].reason}.' for name in known),
        *(f'* **{name}** fails unexpectedly: {text}' for name, text in unexpected.items()),
        *(f'* **{name}** passes: take it from the list of known failures.' for name in mended),
    ]
    return '\n'.join(lines).rstrip() + '\n', not unexpected and not mended


def commit(checkout: Path) -> str:
    git = ['git', '-C', str(checkout), 'rev-parse', 'HEAD']
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def main() -> None:
    args = parse_args()
    with one_line_errors('mmrazor_tests'):
        if args.out is not None and args.out.exists() and not args.force:
            raise ValueError(f'--out {args.out} exists; --force writes over it')
        text, good = table(run(args.checkout))
        installed = ', '.join(f'{name} {version}' for name, version in versions().items())
        text = f'Checkout {commit(args.checkout)}, {installed}.\n\n{text}'
        if args.out is not None:
            write_atomically(args.out, text)
    print(text, end='')
    sys.exit(not good)


if __name__ == '__main__':
    compat.silence_harmless_warnings()
    main()
