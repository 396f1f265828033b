"""The dicts of a config, wherever they stand."""

from collections.abc import Iterator
from typing import Any

from mmengine import Config


def type_name(kind: Any) -> str:
    """Of a type in a config, which may be a class: its name without a scope."""
    return getattr(kind, '__name__', str(kind)).split('.')[-1]


def dicts_of(node: Any, path: str = '') -> Iterator[tuple[str, dict]]:
    """(dotted key, dict) of a config or a part of it, an outer one before those in it.

    Args:
        node: a Config, a dict, or a list or tuple; anything else holds none.
        path: the dotted key of ``node``; '' is that of a whole config.
    """
    if isinstance(node, Config):
        node = node._cfg_dict
    if isinstance(node, dict):
        yield path, node
        items: Any = list(node.items())
    else:
        items = enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, value in items:
        yield from dicts_of(value, f'{path}.{key}' if path else str(key))
