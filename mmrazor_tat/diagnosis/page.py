"""A diagnosis as text, as JSON, and as a web page that stands alone."""

import json
from pathlib import Path
from typing import Any, Optional

from ..utils.files import write_atomically
from ..visualization.figures import BLUE, GREY, plt
from ..visualization.web_page import figure_uri, render
from .diagnose import Diagnosis
from .subject import Finding


def text_of(diagnosis: Diagnosis) -> str:
    """What a terminal shows."""
    lines = []
    for number, finding in enumerate(diagnosis.findings, 1):
        lines += [
            f'{number}. {finding.cause}',
            f'   measured: {finding.measured}',
            f'   expected: {finding.expected}',
            f'   do this:  {finding.remedy}',
            '',
        ]
    if not diagnosis.findings:
        lines += ['Nothing was found.', '']
    lines += [f'ok   {question}' for question in diagnosis.passed]
    lines += [f'--   {what} Not checked: {why}' for what, why in diagnosis.not_checked.items()]
    for record, losses in diagnosis.measured.get('gradients', {}).items():
        shares = ', '.join(f'{name} {of["share"]:.1%}' for name, of in losses.items())
        lines.append(f'     Shares of the gradient at {record!r}: {shares}')
    return '\n'.join(lines)


def save_diagnosis(
    diagnosis: Diagnosis, page: Optional[Path] = None, data: Optional[Path] = None, title: str = ''
) -> None:
    """Write a diagnosis as a web page and as JSON; the files are never there in part."""
    if data is not None:
        content = dict(
            findings=[vars(finding) for finding in diagnosis.findings],
            passed=diagnosis.passed,
            not_checked=diagnosis.not_checked,
            measured=diagnosis.measured,
        )
        write_atomically(data, json.dumps(content, indent=1, default=float) + '\n')
    if page is not None:
        text = render(
            'diagnosis.html.j2',
            title=title or 'Diagnosis',
            findings=[(finding, _picture(finding)) for finding in diagnosis.findings],
            pictures=diagnosis.pictures,
            passed=diagnosis.passed,
            not_checked=diagnosis.not_checked,
            measured=[*_flat(diagnosis.measured)],
        )
        write_atomically(page, text)


def _picture(finding: Finding) -> Optional[str]:
    """What was compared, as bars; the data URI of a PNG."""
    if not finding.bars:
        return None
    names = list(finding.bars)
    figure, axis = plt.subplots(figsize=(6, 0.6 + 0.28 * len(names)), layout='constrained')
    best = max(finding.bars, key=finding.bars.get)
    bars = axis.barh(
        names, list(finding.bars.values()), color=[BLUE if n == best else GREY for n in names]
    )
    axis.bar_label(bars, fmt='%.3g', padding=3)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.spines[['top', 'right']].set_visible(False)
    return figure_uri(figure)


def _flat(measured: dict[str, Any], *above: str):
    for name, value in measured.items():
        if isinstance(value, dict):
            yield from _flat(value, *above, name)
        else:
            values = value if isinstance(value, list) else [value]
            shown = ', '.join(f'{v:,.4g}' if isinstance(v, float) else f'{v:,}' for v in values)
            yield ' / '.join((*above, name)), shown
