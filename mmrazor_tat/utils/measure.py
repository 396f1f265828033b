"""What a figure was measured on, and tables of figures."""

import os
import platform
import re
from pathlib import Path
from typing import Any

import torch


def describe_machine(device: str = 'cpu') -> dict[str, Any]:
    """What a figure was measured on."""
    cpuinfo = Path('/proc/cpuinfo')
    names = re.findall(r'model name\s*: (.*)', cpuinfo.read_text()) if cpuinfo.exists() else []
    machine = dict(
        processor=names[0].strip() if names else platform.processor(),
        cores=available_cores(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
    )
    if device.startswith('cuda'):
        machine.update(gpu=torch.cuda.get_device_name(device), cuda=torch.version.cuda)
    return machine


def available_cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_line(machine: dict[str, Any]) -> str:
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
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in lines)
