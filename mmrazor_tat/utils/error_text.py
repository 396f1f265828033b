"""What an exception of the packages below us means, in one line."""

import ast
import contextlib
import re
import sys
import traceback
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from inspect import getsource, isclass, signature
from pathlib import Path
from types import FrameType
from typing import Any, Optional

import mmengine
from mmengine import Config
from mmengine.registry import OPTIMIZERS

from .config_settings import dicts_of

_LENGTH = 700
_PACKAGE = str(Path(__file__).parent.parent)
_MMENGINE = str(Path(mmengine.__file__).parent)
_SHOWN_SETTINGS = 8
_SETTING = 60  # characters of one that is shown


def one_line(text: str, length: int = _LENGTH) -> str:
    """A text without its line breaks, at most ``length`` characters of it."""
    text = ' '.join(text.split())
    return text if len(text) <= length else text[:length].rsplit(' ', 1)[0] + ' ...'


def with_reasons(error: BaseException, text: Optional[str] = None) -> str:
    """What an exception says, and what those say that it was raised from, the last the deepest.

    Args:
        error: the exception.
        text: in the place of its own.
    """
    said = _said(error) if text is None else text
    for reason in reasons(error)[1:]:
        if str(reason) and str(reason) not in said:
            said += f': {_said(reason)}'
    return said


def reasons(error: BaseException) -> list[BaseException]:
    """An exception and those that it was raised from, the deepest last."""
    found: list[BaseException] = []
    reason: Optional[BaseException] = error
    while reason is not None and all(reason is not one for one in found):
        found.append(reason)
        context = None if reason.__suppress_context__ else reason.__context__
        reason = reason.__cause__ or context
    return found


def _said(error: BaseException) -> str:
    # mmengine lists the whole path.
    text = str(error).split(', the current sys.path')[0]
    return f'{type(error).__name__}: {text.strip() or "without a word"}'


def describe(error: BaseException, cfg: Optional[Config] = None) -> str:
    """One line about an exception: what is wrong, and where in the config.

    Args:
        error: as it was caught, with its traceback.
        cfg: the config that was built or run; None: the line names no keys of it.
    """
    text = str(error)
    if 'Original Traceback' in text:  # torch's report of a worker of a data loader
        return _of_worker(text)
    frame = _frame_of_build(error)
    built = frame.f_locals.get('cfg') if frame is not None else None
    where = _path_of(cfg, built) if cfg is not None and isinstance(built, dict) else ''
    at = f'{where}: ' if where else ''
    if raised_by_us(error):
        lines = filter(None, map(str.strip, _without_quotes(error).splitlines()))
        return one_line('; '.join(lines))
    if found := re.search(r'(\S+) is not in the ([\w:. ]+?) registry', text):
        return one_line(at + _unknown_type(found, frame))
    if 'must contain the key "type"' in text:
        return one_line(f'{at}its type is missing, given are {_settings(built)}')
    if text == 'None is not a callable object' and cfg is not None:  # of mmengine's optimisers
        return one_line(_unknown_optimizer(cfg))
    if found := re.search(r"(\S+)\(\) got an unexpected keyword argument '(\w+)'", text):
        kind = found[1].replace('.__init__', '')
        if not built or found[2] not in built:
            at = _owners(cfg, found[2]) or at
        return one_line(_unknown_argument(kind, found[2], frame, at) + lacks(error))
    name = type(error).__name__
    line = (
        text if isinstance(error, OSError) else f'{name}: {_without_quotes(error) or _code(error)}'
    )
    line = with_reasons(error, line)
    if built:
        line = f'{at or "the config: "}{built.get("type")}: {line} (with {_settings(built)})'
    return one_line(line + lacks(error))


class BuildError(ValueError):
    """A network that cannot be built or run from its config; the text is one line."""


@contextlib.contextmanager
def build_errors(cfg: Config) -> Iterator[None]:
    """Inside, whatever building a config raises becomes one line that names its key.

    What this package raises, and missing files, stay as they are.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or (isinstance(error, ValueError) and raised_by_us(error)):
            raise
        raise BuildError(describe(error, cfg)) from error


def raised_by_us(error: BaseException) -> bool:
    """Whether this package raised the exception on purpose, with a text that says it all."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or isinstance(error, AssertionError):
        return False
    last = frames[-1]
    return last.filename.startswith(_PACKAGE) and (last.line or '').startswith('raise')


def is_in_loop(error: BaseException) -> bool:
    """Whether an iteration was under way, of a training or an evaluation."""
    return any(
        frame.f_code.co_name == 'run_iter' and frame.f_code.co_filename.startswith(_MMENGINE)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _of_worker(text: str) -> str:
    lines = text.strip().splitlines()
    last = max(k for k, line in enumerate(lines) if line.startswith('  '))
    line = ' '.join(lines[last + 1 :])
    return one_line(re.sub(r'^mmrazor_tat[\w.]+: ', '', line))


def _without_quotes(error: BaseException) -> str:
    """``str()``, but of a KeyError without the quotes that it puts around its text."""
    if isinstance(error, KeyError) and len(error.args) == 1 and ' ' in str(error.args[0]):
        return str(error.args[0])
    return str(error)


def _code(error: BaseException) -> str:
    """The line that raised: what a bare assertion says."""
    frames = traceback.extract_tb(error.__traceback__)
    return (frames[-1].line or '').rstrip('\\').strip() if frames else ''


def _unknown_optimizer(cfg: Config) -> str:
    kind = str((cfg.get('optim_wrapper') or {}).get('optimizer', {}).get('type'))
    nearest = get_close_matches(kind, OPTIMIZERS.module_dict, n=3)
    hint = f'; nearest: {", ".join(nearest)}' if nearest else ''
    return f'optim_wrapper.optimizer: there is no type {kind!r}{hint}'


def _frame_of_build(error: BaseException) -> Optional[FrameType]:
    """Of the innermost ``build_from_cfg``, whose local ``cfg`` was being built."""
    frames = [f for f, _ in traceback.walk_tb(error.__traceback__)]
    cause = error.__cause__
    if cause is not None:
        frames += [f for f, _ in traceback.walk_tb(cause.__traceback__)]
    building = [f for f in frames if f.f_code.co_name == 'build_from_cfg']
    return building[-1] if building else None


def _unknown_type(found: re.Match, frame: Optional[FrameType]) -> str:
    name, registry = found[1].strip('\'"`'), found[2]
    known: list[str] = []
    node = frame.f_locals.get('registry') if frame is not None else None
    while node is not None:
        known += list(node.module_dict)
        known += [key for child in node.children.values() for key in child.module_dict]
        node = node.parent
    scope = name.rpartition('.')[0].split('.')[0]
    nearest = get_close_matches(name.split('.')[-1], dict.fromkeys(known), n=3)
    hint = f'; nearest: {", ".join(nearest)}' if nearest else ''
    if scope and not is_installed(scope):
        hint = f': it needs {scope}, which is not installed: {how_to_install(scope)}'
    return f'there is no type {name!r} (registry {registry}){hint}'


def lacks(error: BaseException) -> str:
    """Words for packages that the class being built imports if they are installed, and are not.

    mmseg's Mask2FormerHead then has a mere BaseModule for its base, which takes no argument.
    """
    frame = _frame_of_build(error)
    cls = frame.f_locals.get('obj_cls') if frame is not None else None
    missing = dict.fromkeys(
        package
        for owner in (cls.__mro__ if isclass(cls) else ())
        for package in _optional_packages(owner.__module__)
        if not is_installed(package)
    )
    return ''.join(
        f'; {cls.__name__} needs {package}, which is not installed: {how_to_install(package)}'
        for package in missing
    )


def _optional_packages(module: str) -> list[str]:
    """Those that a module tries to import."""
    try:
        tree = ast.parse(getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return []
    found = []
    for attempt in (node for node in tree.body if isinstance(node, ast.Try)):
        for node in attempt.body:
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.append(node.module.split('.')[0])
            elif isinstance(node, ast.Import):
                found += [alias.name.split('.')[0] for alias in node.names]
    return found


def is_installed(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return find_spec(module) is not None
    except ValueError:  # a stand-in without a spec
        return True


def how_to_install(package: str) -> str:
    """What to type for a package that is not installed."""
    if package == 'mmpretrain':
        return 'pip install -r requirements/mmpretrain.txt, or the extra ' + (
            'mmrazor_tat[classification]'
        )
    return f'pip install {package}'


def _unknown_argument(kind: str, name: str, frame: Optional[FrameType], at: str) -> str:
    cls = frame.f_locals.get('obj_cls') if frame is not None else None
    known: list[str] = []
    if isclass(cls):
        for parent in cls.__mro__[:-1]:
            try:
                known += [key for key in signature(parent).parameters if key != 'kwargs']
            except (TypeError, ValueError):
                continue
    nearest = get_close_matches(name, dict.fromkeys(known), n=2)
    hint = f'; nearest: {", ".join(nearest)}' if nearest else ''
    return f'{at}{kind} takes no argument {name!r}{hint}'


def _settings(built: Any) -> str:
    """The plain values of a dict that was built, as they were given."""
    if not isinstance(built, dict):
        return one_line(repr(built), 200)
    plain = [
        f'{key}={value!r}'
        for key, value in built.items()
        if key not in ('type', '_scope_') and len(repr(value)) <= _SETTING
    ]
    more = ', ...' if len(plain) > _SHOWN_SETTINGS else ''
    return one_line(', '.join(plain[:_SHOWN_SETTINGS]) + more, 250) or 'no settings'


def _path_of(cfg: Config, built: dict) -> str:
    """The dotted key of the dict that is most like ``built``, which may be a changed copy of it."""

    def likeness(item: tuple[str, dict]) -> int:
        return sum(key in built and _equal(built[key], value) for key, value in item[1].items())

    kind = built.get('type')
    alike = [(path, node) for path, node in dicts_of(cfg) if path and node.get('type') == kind]
    if kind is None:
        alike = [(path, node) for path, node in alike if set(node) <= set(built)]
    return max(alike, key=likeness, default=('', {}))[0]


def _owners(cfg: Optional[Config], name: str) -> str:
    """Where a key stands, if that is one place."""
    paths = [path for path, node in dicts_of(cfg) if name in node] if cfg is not None else []
    return f'{paths[0]}: ' if len(paths) == 1 and paths[0] else ''


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # tensors and arrays
        return False
