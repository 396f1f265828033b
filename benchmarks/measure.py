"""Time and memory of a call, and how they are written down."""

import ctypes
import gc
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import torch
from torch.utils.benchmark import timer

from mmrazor_tat.utils.measure import describe_machine, machine_line, markdown_table

__all__ = ['MIB', 'describe_machine', 'peak_memory', 'time_in_turns', 'write_result']
MIB = 2**20


def time_in_turns(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every repeat of every run, one run after another in each round.

    The first round warms up and is not counted; each round begins with another run. Other load on
    the machine then hits all runs alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(repeats + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            start = timer()  # of torch, which waits for a GPU
            runs[name]()
            if number > 0:
                seconds[name].append(timer() - start)
    return seconds


def peak_memory(run: Callable[[], Any], device: str = 'cpu') -> Optional[float]:
    """Bytes above the start that a run needs at its peak; None where it cannot be measured.

    On a GPU what torch's allocator hands out. On a CPU the resident memory of the process (Linux):
    measure in a fresh process, as memory that an earlier run gave back to malloc would hide.
    """
    if device.startswith('cuda'):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    status = Path('/proc/self/status')
    if not status.exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free goes back to the system
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew from here
    before = _resident(status, 'VmRSS')
    run()
    return _resident(status, 'VmHWM') - before


def _resident(status: Path, field: str) -> int:
    return 1024 * int(re.search(rf'{field}:\s+(\d+) kB', status.read_text()).group(1))


def write_result(out: Path, result: dict[str, Any], title: str, header: list, rows: list) -> None:
    """``out``.json: ``result``, which has a ``machine``; ``out``.md: a table of it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix('.json').write_text(json.dumps(result, indent=1, default=str) + '\n')
    head = f'# {title}: {machine_line(result["machine"])}'
    out.with_suffix('.md').write_text(f'{head}\n\n{markdown_table(header, rows)}\n')
