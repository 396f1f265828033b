"""Starting a script in two processes as users do, by torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_LIMIT = 240  # seconds


@pytest.fixture(scope='session')
def two_processes():
    """A function that runs a script in two processes on the CPU and gives all they printed."""

    def run(*arguments, ok: bool = True, cwd=None) -> str:
        torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
        script = str(Path(__file__).with_name('on_cpu.py'))
        process = subprocess.Popen(
            [*torchrun, '--nproc-per-node=2', script, *map(str, arguments)],
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
        )
        try:
            text, _ = process.communicate(timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its processes, and may itself be killed then
            try:
                text, _ = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                text = ''
            pytest.fail(f'no end after {_LIMIT} s: {text[-6000:]}')
        assert (process.returncode == 0) == ok, text[-6000:]
        return text

    return run
