"""What the runs of a report were made with: the commits and the versions in their records."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

# As the report names them, by the name of their module.
_PACKAGES = dict(
    torch='torch',
    mmengine='mmengine',
    mmseg='mmsegmentation',
    mmpretrain='mmpretrain',
    mmrazor='mmrazor',
    mmrazor_tat='mmrazor_tat',
)
_SHOWN = 10  # digits of a commit


def provenance(records: Sequence[dict[str, Any]]) -> str:
    """One or two sentences; empty where the records do not tell.

    Args:
        records: of the runs; an empty one was not begun.
    """
    commits = Counter(_commit(record['commit']) for record in records if record.get('commit'))
    versions = dict.fromkeys(
        _versions(record['versions'], _is_classification(record))
        for record in records
        if record.get('versions')
    )
    made_with = [' or '.join(versions)] if versions else []
    if len(commits) == 1:
        made_with.append(f'commit {next(iter(commits))}')
    parts = [f'Made with {", ".join(made_with)}.'] if made_with else []
    if len(versions) > 1:
        parts.append('The runs had several versions: differences may come from these.')
    if len(commits) > 1:
        of = [f'{name} ({count} run{"s" * (count > 1)})' for name, count in commits.items()]
        parts.append(
            f'The runs had several commits, differences may come from these: {", ".join(of)}.'
        )
    if any(name.endswith('+') for name in commits):
        parts.append('+: with changes that were not committed.')
    return ' '.join(parts)


def _commit(commit: str) -> str:
    """Cut short; the '+' of a changed tree stays."""
    return commit.rstrip('+')[:_SHOWN] + '+' * commit.endswith('+')


def _is_classification(record: dict[str, Any]) -> bool:
    """Whether a run was mmpretrain's; the settings are kept as text."""
    return record.get('settings', {}).get('default_scope') == repr('mmpretrain')


def _versions(versions: dict[str, Any], is_classification: bool) -> str:
    """Without the package of the other task, which may have been imported all the same."""
    other = 'mmseg' if is_classification else 'mmpretrain'
    return ', '.join(
        f'{name} {versions[module]}'
        for module, name in _PACKAGES.items()
        if versions.get(module) and module != other
    )
