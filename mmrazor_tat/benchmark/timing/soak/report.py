"""A soak as a picture, a page and figures."""

import json
from dataclasses import asdict
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ....utils.files import write_atomically
from ....visualization.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, plt, save_figure
from .. import measure
from .run import Soak
from .verdict import MIB, PER


def save_soak(soak: Soak, out: Path, command: str = '') -> list[Path]:
    """Write ``out``.json with every figure, ``out``.png and ``out``.md; gives their paths."""
    out = Path(out)
    paths = [out.with_name(f'{out.name}.{ending}') for ending in ('json', 'png', 'md')]
    samples = [asdict(sample) for sample in soak.samples]
    content = {**asdict(soak), 'is_flat': soak.verdict.is_flat, 'command': command}
    content['samples'] = {key: [sample[key] for sample in samples] for key in samples[0]}
    write_atomically(paths[0], json.dumps(content) + '\n')
    save_figure(draw_soak(soak), paths[1])
    write_atomically(paths[2], soak_text(soak, paths[1].name, command) + '\n')
    return paths


def soak_text(soak: Soak, picture: str = '', command: str = '') -> str:
    """The page: what was run on which machine, the verdict, the slopes against their limits."""
    verdict, limits = soak.verdict, soak.limits
    first, last = soak.samples[0], soak.samples[-1]
    rows = [
        _row('resident memory, MiB', first.resident / MIB, last.resident / MIB, verdict.resident)
        + [f'{verdict.expected:.2f} + {limits.mib:g}']
    ]
    if verdict.children is not None:
        ends = first.children / MIB, last.children / MIB
        rows.append(_row("the workers', MiB", *ends, verdict.children) + [f'{limits.mib:g}'])
    rows += [
        _row('live tensors', first.tensors, last.tensors, verdict.tensors, 0)
        + [f'{limits.tensors:g}'],
        _row('Python objects', first.objects, last.objects, verdict.objects, 0)
        + [f'{limits.objects:g}'],
    ]
    header = ['', f'at {first.iteration}', f'at {last.iteration:,}', f'growth in {PER:,}', 'limit']
    parts = [
        f'# A soak of {soak.iterations:,} iterations: memory '
        + ('is flat' if verdict.is_flat else 'grows'),
        f"{measure.machine_line(soak.machine)}. {_workers(soak.workers)}. The demo's pair of "
        f'networks with the losses {", ".join(soak.losses)}, each iteration logged; '
        f'{len(soak.events["validation"])} validations, {len(soak.events["checkpoint"])} '
        'checkpoints, as many of the student alone and pictures of the attention, and gradient '
        'shares every 10 iterations.',
        measure.markdown_table(header, rows),
        f'Growth is the median slope between all pairs of samples from iteration '
        f"{verdict.start:,} on. Expected are mmengine's histories of the log: {soak.keys} values "
        'of 16 bytes an iteration.',
    ]
    parts += [f'**Grows**: {what}.' for what in verdict.grows]
    if picture:
        parts.append(f'![Memory by iteration]({picture})')
    if command:
        parts.append(f'```bash\n{command}\n```')
    return '\n\n'.join(parts)


def draw_soak(soak: Soak) -> Figure:
    """Resident memory, live tensors and Python objects by iteration, with what happened then."""
    has_workers = soak.verdict.children is not None
    panels = [('resident memory, MiB', 'resident', MIB, BLUE)]
    if has_workers:
        panels.append(("workers' resident memory, MiB", 'children', MIB, BLUE))
    panels += [('live tensors', 'tensors', 1, VERMILION), ('Python objects', 'objects', 1, GREY)]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(8, 1.2 + 1.9 * len(panels)), sharex=True, layout='constrained'
    )
    for ax, (title, of, unit, colour) in zip(axes, panels):
        _mark(ax, soak, is_first=ax is axes[0])
        x = [sample.iteration for sample in soak.samples]
        y = [getattr(sample, of) / unit for sample in soak.samples]
        ax.plot(x, y, color=colour, linewidth=1.4)
        ax.set_title(title, loc='left', fontsize=10)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=unit == 1))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:,.0f}'))
        # Noise of a hundredth is not to look like growth.
        low, high = min(y), max(y)
        margin = max(0.1 * (high - low), 0.02 * high)
        ax.set_ylim(low - margin, high + margin)
        ax.spines[['top', 'right']].set_visible(False)
    axes[-1].set_xlabel('iteration')
    axes[0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:,.0f}'))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=3, frameon=False, fontsize=9)
    figure.suptitle(
        f'{soak.iterations:,} iterations: memory {"is flat" if soak.verdict.is_flat else "grows"}',
        fontsize=11,
    )
    return figure


def _mark(ax: Axes, soak: Soak, is_first: bool) -> None:
    ax.axvspan(soak.verdict.start, soak.iterations, color='#F2F2F2', label='judged')
    for k, iteration in enumerate(soak.events['validation']):
        label = None if k else 'validation and pictures'
        ax.axvline(iteration, color=GREEN, linestyle=':', linewidth=1, label=label)
    checkpoints = sorted(set(soak.events['checkpoint']))
    if is_first and checkpoints:
        ax.plot(
            checkpoints,
            [1.0] * len(checkpoints),
            'v',
            color=ORANGE,
            markersize=5,
            clip_on=False,
            transform=ax.get_xaxis_transform(),
            label='checkpoint',
        )


def _row(name: str, first: float, last: float, growth: float, digits: int = 1) -> list[str]:
    return [name, *(f'{value:,.{digits}f}' for value in (first, last)), f'{growth:+,.2f}']


def _workers(count: int) -> str:
    if count == 0:
        return 'Data loaded in the process itself'
    return f'{count} worker{"s" if count > 1 else ""} for each data loader'
