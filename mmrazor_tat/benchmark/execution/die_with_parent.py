"""Become a command that ends with the process that started it. Run as a script: PARENT COMMAND...

A benchmark that is killed outright cannot end its trainings, and a training that went on alone
would share its work dir with the one that the next call resumes. On Linux the kernel sends SIGTERM
then (PR_SET_PDEATHSIG, which outlives exec); elsewhere the lock that a training inherits keeps the
next call out. A script of its own: between fork and exec a process with threads must run no code.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == 'linux':
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it was killed before the kernel knew
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == '__main__':
    main()
