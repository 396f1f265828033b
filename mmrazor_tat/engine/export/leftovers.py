"""Nothing of the distillation may be left in what is shipped."""

from collections.abc import Iterator
from typing import Any

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
