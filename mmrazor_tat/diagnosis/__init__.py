"""Why a student does not gain: what is measured before or after its training, and what to type."""

from .diagnose import Diagnosis, diagnose, diagnose_run
from .page import save_diagnosis, text_of
from .subject import Finding, Subject

__all__ = [
    'Diagnosis',
    'Finding',
    'Subject',
    'diagnose',
    'diagnose_run',
    'save_diagnosis',
    'text_of',
]
