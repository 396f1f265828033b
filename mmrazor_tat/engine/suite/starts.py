"""Initial weights that several runs share, so that their seeds are paired."""

from dataclasses import dataclass, field
from pathlib import Path

from mmengine import Config

from ..files import write_atomically
from ..initial_weights import initial_weights


@dataclass(frozen=True)
class Start:
    """Which network is drawn with which seed, and the file."""

    cfg: Config = field(repr=False)
    digest: str  # of the network
    seed: int
    path: Path


def draw(start: Start) -> None:
    """Write the weights, unless those of this very network are there.

    A checkpoint that does not fit its network would be passed over by mmengine with a warning.
    """
    note = start.path.with_suffix('.txt')
    if start.path.exists() and note.exists() and note.read_text() == start.digest:
        return
    note.unlink(missing_ok=True)
    initial_weights(start.cfg, start.path, start.seed)
    write_atomically(note, start.digest)
