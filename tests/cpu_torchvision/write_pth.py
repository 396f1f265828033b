"""Let an environment see what this one has, and import torchvision. Run as a script: VENV.

For the Makefile, which makes the environment of the classification recipes so in seconds.
"""

import sys
import sysconfig
from pathlib import Path

_HERE = str(Path(__file__).resolve().parent)
_LINES = f"""\
import site; site.addsitedir({sysconfig.get_path('purelib')!r})
{_HERE}
import torchvision_operators; torchvision_operators.install()
"""


def main() -> None:
    (packages,) = Path(sys.argv[1]).glob('lib/python*/site-packages')
    (packages / 'default.pth').write_text(_LINES)


if __name__ == '__main__':
    main()
