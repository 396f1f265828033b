from .progress_line_hook import ProgressLineHook

__all__ = ['ProgressLineHook']
