"""What the benchmark tools share: timing in turns, peak memory, the machine's own rates, tables."""

import argparse
import ctypes
import gc
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import torch
from torch.utils.flop_counter import FlopCounterMode

MIB = 2**20
Run = Callable[[], object]


def time_in_turns(runs: dict[str, Run], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of every repeat of every run, in one process, one run after another in each round.

    The first round warms up and is not counted; each round begins with another run. Other load on
    the machine then hits all runs alike; compare runs by :func:`paired_ratio`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(repeats + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            elapsed = time_once(runs[name], device)
            if number > 0:
                seconds[name].append(elapsed)
    return seconds


def time_once(run: Run, device: str) -> float:
    """Seconds of one run; on a GPU between two CUDA events."""
    if not device.startswith('cuda'):
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    torch.cuda.synchronize()
    events[0].record()
    run()
    events[1].record()
    torch.cuda.synchronize()
    return events[0].elapsed_time(events[1]) / 1e3


def paired_ratio(a: list[float], b: list[float]) -> float:
    """The median of a / b over the rounds: above 1 where b is the faster one."""
    return statistics.median(x / y for x, y in zip(a, b))


def peak_memory(run: Run, device: str) -> Optional[float]:
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


def count_operations(run: Run) -> int:
    """Floating-point operations of the matrix products and convolutions of a run."""
    with FlopCounterMode(display=False, custom_mapping=_OPERATIONS) as counter:
        run()
    return counter.get_total_flops()


def _of_matrix_products(_, a, b, **__) -> int:
    return 2 * a[0] * a[1] * a[2] * b[2]


def _of_attention(query, key, *_, **__) -> int:
    batch, heads, rows, width = query
    return 2 * 2 * batch * heads * rows * key[2] * width


def _of_attention_backward(_, query, key, *__, **___) -> int:
    return _of_attention(query, key) * 5 // 2  # five products, the logits once more


# What torch's counter does not know: by shape of the arguments.
_OPERATIONS = {
    getattr(torch.ops.aten, name): count
    for name, count in {
        'baddbmm_': _of_matrix_products,
        '_scaled_dot_product_flash_attention_for_cpu': _of_attention,
        '_scaled_dot_product_flash_attention_for_cpu_backward': _of_attention_backward,
    }.items()
    if hasattr(torch.ops.aten, name)  # torch 2.1 has another name for the last two
}


def matmul_rate(device: str, dtype: torch.dtype = torch.float32) -> float:
    """Operations a second of the best of some matrix products of the operator's sizes."""
    best = 0.0
    for rows, width in ((16384, 256), (2048, 256), (4096, 512), (2048, 2048)):
        a = torch.randn(rows, width, device=device).to(dtype)
        b = torch.randn(width, width, device=device).to(dtype)
        out = torch.empty_like(a)

        def run(a=a, b=b, out=out):
            for _ in range(4):
                torch.mm(a, b, out=out)

        seconds = time_in_turns(dict(mm=run), 9, device)['mm']
        best = max(best, 4 * 2 * rows * width * width / statistics.median(seconds))
    return best


def copy_rate(device: str) -> float:
    """Bytes a second that a copy of a tensor too large for a cache reads and writes."""
    a = torch.randn(64 * MIB, device=device)
    b = torch.empty_like(a)
    seconds = time_in_turns(dict(copy=lambda: b.copy_(a)), 9, device)['copy']
    return 2 * a.numel() * a.element_size() / statistics.median(seconds)


def select_device(parser: argparse.ArgumentParser, device: str) -> None:
    """Make ``device`` (cpu, cuda or cuda:N) the current one, or end with the parser's error."""
    if not device.startswith('cuda'):
        return
    if not torch.cuda.is_available():
        parser.error(f'--device {device}: torch finds no GPU here')
    torch.cuda.set_device(torch.device(device).index or 0)


def run_apart(script: str, *arguments: str) -> str:
    """The last line that a Python script prints, in a process of its own."""
    command = [sys.executable, script, *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f'{" ".join(command)} failed:\n{run.stderr[-3000:]}')
    return run.stdout.splitlines()[-1]


def describe_machine(device: str) -> dict:
    """What a figure was measured on."""
    machine = dict(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
    )
    if device.startswith('cuda'):
        machine.update(gpu=torch.cuda.get_device_name(device), cuda=torch.version.cuda)
    return machine


def _processor() -> str:
    cpuinfo = Path('/proc/cpuinfo')
    names = re.findall(r'model name\s*: (.*)', cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0].strip() if names else platform.processor()


def machine_line(machine: dict) -> str:
    """The same in one line."""
    cores, threads = (
        f'{machine[name]} {name if machine[name] != 1 else name[:-1]}'
        for name in ('cores', 'threads')
    )
    where = machine.get('gpu') or f'{machine["processor"]}, {cores}, {threads}'
    return f'{where}, torch {machine["torch"]}'


def markdown_table(header: list[str], rows: list[list]) -> str:
    """A GitHub table; numbers are to be formatted by the caller."""
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join('| ' + ' | '.join(str(cell) for cell in line) + ' |' for line in lines)


def write_report(path: Path, result: dict, text: str) -> None:
    """``path``.json with every figure and ``path``.md with the tables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix('.json').write_text(json.dumps(result, indent=1) + '\n')
    path.with_suffix('.md').write_text(text + '\n')
