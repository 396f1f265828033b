"""The report as data: SUITE.json and SUITE.csv."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from ..suites.definition import Suite
from .summary import Outcome, Row, Spread, has_groups


def as_json(
    suite: Suite, table: Sequence[Row], command: str, about: dict[str, Any]
) -> dict[str, Any]:
    """What SUITE.json holds."""

    def spread(of: Optional[Spread]) -> Optional[dict[str, Any]]:
        return None if of is None else of._asdict()

    def gain(of: Optional[Spread]) -> Optional[dict[str, Any]]:
        return None if of is None else dict(**of._asdict(), interval=of.interval)

    grouped = has_groups(table)
    return dict(
        suite=dict(
            name=suite.name,
            title=suite.title,
            metric=suite.metric,
            seeds=list(suite.seeds),
            options={key: repr(value) for key, value in suite.options.items()},
            toy_data=suite.toy_data,
        ),
        command=command,
        **about,
        runs={
            row.run.name: dict(
                label=row.run.label,
                **(dict(group=row.run.group) if grouped else {}),
                config=_config_name(row.run.config),
                baseline=row.run.baseline,
                paper=row.run.paper,
                note=row.run.note,
                last={name: spread(of) for name, of in row.last.items()},
                best={name: spread(of) for name, of in row.best.items()},
                gain=gain(row.gain),
                seconds=spread(row.seconds),
                peak_mib=row.peak_mib,
                teacher=row.run.teacher,
                start=row.run.start,
                options={key: repr(value) for key, value in row.run.options.items()},
                seeds=list(map(_record, row.outcomes)),
            )
            for row in table
        },
    )


def _config_name(config: Path) -> str:
    """As from the folder of all configs, where it is in one."""
    parts = config.parts
    return '/'.join(parts[parts.index('configs') + 1 :]) if 'configs' in parts else config.name


def _record(outcome: Outcome) -> dict[str, Any]:
    """Without the settings, which are long: they stay in run.json."""
    record = {key: value for key, value in outcome.record.items() if key != 'settings'}
    return {**record, 'seed': outcome.key.seed, 'status': outcome.status, 'error': outcome.why}


def as_csv(table: Sequence[Row], metric: str) -> str:
    """SUITE.csv: a line for each run and seed."""
    grouped = has_groups(table)
    names = dict.fromkeys([metric, *(name for row in table for name in row.last)])
    columns = ['run', *(['group'] if grouped else []), 'label', 'seed', 'status']
    columns += [f'{which} {name}' for name in names for which in ('last', 'best', 'best_step')]
    columns += ['starts', 'iterations', 'batch', 'seconds', 'peak_mib', 'parameters']
    columns += ['paper', 'error']
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    for row in table:
        for outcome in row.outcomes:
            record = outcome.record
            figures = {
                f'{which} {name}': of[which]
                for name, of in outcome.metrics.items()
                for which in ('last', 'best', 'best_step')
            }
            writer.writerow(
                dict(
                    run=row.run.name,
                    label=row.run.label,
                    seed=outcome.key.seed,
                    status=outcome.status,
                    starts=record.get('starts'),
                    iterations=(record.get('results') or {}).get('iterations'),
                    batch=(record.get('batch') or {}).get('size'),
                    seconds=record.get('seconds'),
                    peak_mib=outcome.peak_mib,
                    parameters=record.get('parameters'),
                    paper=row.run.paper,
                    error=outcome.why,
                    **figures,
                    **(dict(group=row.run.group) if grouped else {}),
                )
            )
    return text.getvalue()
