"""A soak: a long small training that shows whether memory grows."""

from .report import save_soak, soak_text
from .run import Soak, check_soak, soak
from .samples import MemorySample, MemorySampleHook, read_memory
from .verdict import Limits, Verdict, judge, slope

__all__ = [
    'Limits',
    'MemorySample',
    'MemorySampleHook',
    'Soak',
    'Verdict',
    'check_soak',
    'judge',
    'read_memory',
    'save_soak',
    'slope',
    'soak',
    'soak_text',
]
