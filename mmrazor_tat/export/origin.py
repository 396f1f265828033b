"""Where the parts of a config come from, and whether any is left of the distillation."""

import contextlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from mmengine import registry as registries
from mmengine.registry import Registry

# What an environment without distillation lacks.
_LEFT_OUT = ('mmrazor', 'mmrazor_tat')


def is_of_mmrazor(kind: str, scope: str) -> bool:
    """Whether a ``type`` can be built only where mmrazor or mmrazor_tat is installed.

    That is so if the class is defined there, or is registered there and nowhere else.

    Args:
        kind: the ``type``.
        scope: in which it is looked up, e.g. 'mmseg'.
    """
    found = list(_classes(kind, scope))
    if not found:
        return kind.split('.')[0] in _LEFT_OUT or scope in _LEFT_OUT
    return any(
        registered in _LEFT_OUT or getattr(cls, '__module__', '').split('.')[0] in _LEFT_OUT
        for cls, registered in found
    )


def name_elsewhere(kind: str, scope: str, default_scope: str) -> str:
    """The ``type`` that means in ``default_scope`` what ``kind`` means in mmrazor's scope."""
    name = kind.removeprefix('mmrazor.')
    meant = [cls for cls, _ in _classes(kind, scope)]
    if [cls for cls, _ in _classes(name, default_scope)] == meant:
        return name
    return f'mmengine.{name}'  # the only scope that both look into


def _classes(kind: str, scope: str) -> Iterator[tuple[type, str]]:
    """What each kind of registry has under this name, and the scope that has it."""
    prefix, _, rest = kind.partition('.')
    for root in vars(registries).values():
        if not isinstance(root, Registry):
            continue
        start, name = (prefix, rest) if rest and _is_scope(prefix, root) else (scope, kind)
        _is_scope(start, root)
        node = root.children.get(start, root)
        while node is not None:
            node.import_from_location()
            if name in node.module_dict:
                yield node.module_dict[name], node.scope
                break
            node = node.parent


def _is_scope(name: str, root: Registry) -> bool:
    if name == root.scope:
        return True
    if name not in root.children:
        # A package's registries are there once they are imported.
        with contextlib.suppress(ImportError, AttributeError, ValueError):
            import_module(f'{name}.registry')
    return name in root.children


_WORDS = ('mmrazor', 'distill', 'teacher')
_KEYS = (*_WORDS, 'architecture')
# Free text of the user's: folders, classes, names of runs.
_FREE = (
    'metainfo',
    'data_root',
    'data_prefix',
    'ann_file',
    'name',
    'project',
    'init_kwargs',
    'save_dir',
)


def leftovers(node: Any, path: str = '') -> Iterator[str]:
    """What in a config still speaks of a distillation.

    Args:
        node: the config, or a part of it.
        path: where it stands.

    Yields:
        ``path`` of each such key, and ``path = value`` of each such text.
    """
    if isinstance(node, dict):
        for key, value in node.items():
            here = f'{path}.{key}' if path else str(key)
            if any(word in str(key).lower() for word in _KEYS):
                yield here
            elif key not in _FREE:
                yield from leftovers(value, here)
    elif isinstance(node, (list, tuple)):
        for position, value in enumerate(node):
            yield from leftovers(value, f'{path}[{position}]')
    elif isinstance(node, str) and any(word in node.lower() for word in _WORDS):
        yield f'{path} = {node!r}'


def check_no_leftovers(cfg: dict) -> None:
    """Raise ValueError for a config that still speaks of a distillation."""
    if found := list(leftovers(cfg)):
        raise ValueError(
            'the plain config would still speak of the distillation in '
            + '; '.join(found)
            + ': change or remove it in the recipe, or with --cfg-options'
        )
