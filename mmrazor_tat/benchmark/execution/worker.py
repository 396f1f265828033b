"""Train in a folder, alone, and note the use. A script: FOLDER PARENT COMMAND..., standard library.

PARENT: the number of the process that the training ends with, '0': none. A call that was killed
cannot end its trainings, and one that went on alone would share its folder with the one that the
next call resumes: on Linux the kernel sends SIGTERM then; elsewhere the lock keeps the other out.
"""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

_SECONDS_BETWEEN_NOTES = 5
_SECONDS_TO_END = 40  # torchrun gives its workers 30
_SECONDS_FOR_LOCK = 60


def main() -> int:
    folder, parent, command = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if parent:
        _end_with(parent)
    lock = (folder / '.lock').open('w')
    if not _acquired(lock):
        print(f'Error: another training is at work in {folder}: end it first', flush=True)
        return 1
    own, asked, noted = os.getpid(), [], 0.0
    begun = time.monotonic()
    training = subprocess.Popen(command, preexec_fn=lambda: _end_with(own))

    def end(*_) -> None:
        asked.append(time.monotonic())
        training.terminate()

    signal.signal(signal.SIGTERM, end)
    starts = _read(folder / 'use.json')
    while (code := training.poll()) is None:
        now = time.monotonic()
        if asked and now - asked[0] > _SECONDS_TO_END:
            training.kill()
        if now - noted > _SECONDS_BETWEEN_NOTES:
            _write(folder / 'use.json', [*starts, dict(seconds=now - begun, peak_mib=None)])
            noted = now
        time.sleep(0.05)
    # Of the training and of all that it has waited for.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    mib = peak / 2**20 if sys.platform == 'darwin' else peak / 2**10
    _write(folder / 'use.json', [*starts, dict(seconds=time.monotonic() - begun, peak_mib=mib)])
    return code if code >= 0 else 128 - code


def _end_with(parent: int) -> None:
    if sys.platform == 'linux':
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it was killed before the kernel knew
            os._exit(1)


def _acquired(lock) -> bool:
    until = time.monotonic() + _SECONDS_FOR_LOCK
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.2)


def _read(path: Path) -> list:
    return json.loads(path.read_text()) if path.exists() else []


def _write(path: Path, content: list) -> None:
    unfinished = path.with_suffix('.tmp')
    unfinished.write_text(json.dumps(content))
    os.replace(unfinished, path)


if __name__ == '__main__':
    sys.exit(main())
