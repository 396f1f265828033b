"""What the user can mend: one exception, one line."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from inspect import isfunction, signature

from mmengine import registry
from torch.cuda import OutOfMemoryError

TRACEBACK = 'MMRAZOR_TAT_TRACEBACK'  # set to 1, errors come with their traceback
_LENGTH = 700
_OPTION = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")


class UserError(ValueError):
    """What the user can mend; the text, one line, names what was given and what would fit."""


def one_line(text: str, length: int = _LENGTH) -> str:
    """A text without its line breaks, at most ``length`` characters of it."""
    text = ' '.join(text.split())
    return text if len(text) <= length else text[:length].rsplit(' ', 1)[0] + ' ...'


def said(error: BaseException) -> str:
    """What an exception says, and what those say that it was raised from, the deepest last."""
    text = _own_words(error)
    for reason in reasons(error)[1:]:
        words = _own_words(reason)
        if str(reason) and words not in text and str(reason) not in text:
            text += f': {words}'
    return one_line(text)


def reasons(error: BaseException) -> list[BaseException]:
    """An exception and those that it was raised from, the deepest last."""
    found = [error]
    while (reason := found[-1].__cause__ or found[-1].__context__) is not None:
        if found[-1].__suppress_context__ and found[-1].__cause__ is None:
            break
        if any(reason is one for one in found):
            break
        found.append(reason)
    return found


def _own_words(error: BaseException) -> str:
    # A KeyError puts quotes around its text, and mmengine lists the whole path.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    text = text.split(', the current sys.path')[0].strip()
    if 'Original Traceback' in text:  # torch's report of a worker of a data loader
        text = text.splitlines()[-1].split(f'{type(error).__name__}: ')[-1]
    text = ' '.join(text.split())
    if found := re.match(r'(\S+) is not in the \S+::.* registry', text):
        # Of all types that are registered anywhere; with the package that has to be installed.
        scope = found[1].rpartition('.')[0].split('.')[0]
        if scope and not is_installed(scope):
            return f'{found[0]}: it needs {scope}, which is not installed: {how_to_install(scope)}'
        return found[0] + _close(found[1].split('.')[-1], _registered())
    is_ours = type(error) is ValueError or type(error).__module__.startswith('mmrazor_tat.')
    if is_ours or isinstance(error, (OSError, FloatingPointError)):
        return text
    return f'{type(error).__name__}: {text or f"without a word ({TRACEBACK}=1 shows where)"}'


def _close(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=3)
    return f'; nearest: {", ".join(close)}' if close else ''


def _registered() -> dict[str, type]:
    roots = [root for root in vars(registry).values() if isinstance(root, registry.Registry)]
    nodes = [node for root in roots for node in (root, *root.children.values())]
    return {kind: cls for node in nodes for kind, cls in node.module_dict.items()}


@contextlib.contextmanager
def naming(where: str, dicts: Iterable[tuple[str, dict]] = ()) -> Iterator[None]:
    """Inside, what any package raises becomes a UserError: ``where``, then its own words.

    A UserError, missing files and too little memory stay as they are. An option that a class does
    not take is looked for in ``dicts``, by dotted key.
    """
    try:
        yield
    except (UserError, OSError, OutOfMemoryError):
        raise
    except Exception as error:
        text = said(error)
        if found := _OPTION.search(text):
            kind, option = found.groups()
            places = [(at, of) for at, of in dicts if option in of][:2]
            where = ', '.join([where, *(f'{at}.{option}={of[option]!r}' for at, of in places)])
            kinds = [kind, *(str(of.get('type')).split('.')[-1] for _, of in places)]
            types = map(_registered().get, kinds)
            inits = [of.__init__ for cls in types for of in getattr(cls, '__mro__', ())]
            inits = map(signature, filter(isfunction, inits))
            text += _close(option, {name for init in inits for name in init.parameters})
        raise UserError(one_line(f'{where}: {text}')) from error


@contextlib.contextmanager
def ending_with_one_line(tool: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Inside, these errors end the process with one line, which begins with the tool's name."""
    try:
        yield
    except errors as error:
        if os.environ.get(TRACEBACK) == '1':
            raise
        raise SystemExit(f'{tool}: {said(error)}') from error


def is_installed(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return find_spec(module) is not None
    except ValueError:  # a stand-in without a spec
        return True


def how_to_install(package: str) -> str:
    """What to type for a package that is not installed."""
    ours = '-r requirements/mmpretrain.txt, or the extra mmrazor_tat[classification]'
    return f'pip install {ours if package == "mmpretrain" else package}'
