"""Pictures of where target-aware attention looks.

Nothing is imported here: the hook, which every training loads, must not bring matplotlib along.
"""
