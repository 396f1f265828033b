"""Settings of a run by dotted keys, and as the words of ``--cfg-options``."""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from mmengine import DictAction

from ...utils.errors import UserError


class SuiteError(UserError):
    """A suite, or a call of the runner, that cannot be carried out as asked."""


def nearest(name: Any, known: Iterable[str]) -> str:
    """'; nearest: ...' or, where nothing is near, '; known: ...'."""
    known = list(known)
    close = get_close_matches(str(name), known, n=1)
    return f'; nearest: {close[0]!r}' if close else f'; known: {", ".join(known)}'


_LISTS, _NODES = (list, tuple), (dict, list, tuple)
# What the runner decides itself, and why.
_OWN = {
    'work_dir': '--out says where the runs go',
    'resume': 'an interrupted run is resumed by itself',
    'load_from': 'an interrupted run is resumed by itself',
    'launcher': 'it is an argument of the tool',
    'randomness.seed': 'name it in seeds',
    'default_hooks.checkpoint.save_best': 'it follows from metric',
    'default_hooks.checkpoint.rule': 'a higher metric is better',
    'default_hooks.checkpoint.save_last': 'a run resumes from its last checkpoint',
    'default_hooks.checkpoint.max_keep_ckpts': 'a run resumes from its last checkpoint',
    'default_hooks.checkpoint.filename_tmpl': 'a run resumes from its last checkpoint',
    'default_hooks.checkpoint.out_dir': 'a run resumes from its last checkpoint',
}


def read_options(value: Any, where: str) -> dict[str, Any]:
    """Options with one dotted key a setting; a dict among the values is taken apart.

    SuiteError for what is no dict by text, a setting that is the runner's own, or a value that
    cannot be handed over on a command line.
    """
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SuiteError(
            f"{where} must be a dict by dotted keys, such as {{'train_cfg.max_iters': 100}}, got "
            f'{value!r}'
        )
    options = flatten(value)
    for key in options:
        if key in _OWN:
            raise SuiteError(f'{where}: {key} is set by the runner: {_OWN[key]}')
    as_arguments(options, where)
    return options


def flatten(settings: dict, into_lists: bool = False) -> dict[str, Any]:
    """Nested dicts as one by dotted keys; ``into_lists``: lists of such too, by number."""
    return dict(_leaves(settings, '', into_lists))


def _leaves(node: Any, prefix: str, into_lists: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and (node or not prefix):
        items = node.items()
    elif into_lists and isinstance(node, _LISTS) and any(isinstance(n, _NODES) for n in node):
        items = enumerate(node)
    else:
        yield prefix[:-1], node
        return
    for key, value in items:
        yield from _leaves(value, f'{prefix}{key}.', into_lists)


def as_arguments(options: dict[str, Any], where: str) -> list[str]:
    """``KEY=VALUE`` for each option, read back as mmengine reads it to be sure.

    SuiteError for a value that does not survive that: a dict within a list, a text with blanks,
    commas or brackets, a text that reads as a number.
    """
    words = [f'{key}={_text(value)}' for key, value in options.items()]
    parse = DictAction(['--cfg-options'], 'options', nargs='+')
    for (key, value), word in zip(options.items(), words):
        try:
            namespace = Namespace()
            parse(None, namespace, [word])
            back = namespace.options[key]
        except (AssertionError, KeyError):  # unbalanced brackets; '=' in a key
            back = NotImplemented
        if key.startswith('-') or back != value or type(back) is not type(value):
            raise SuiteError(
                f'{where}: {key}={value!r} cannot be handed over by --cfg-options: write a config '
                'that has it'
            )
    return words


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        items = ','.join(_text(item) for item in value)
        return f'({items})' if isinstance(value, tuple) else f'[{items}]'
    return str(value)
