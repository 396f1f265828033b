custom_imports = dict(imports=['mmrazor_tat'], allow_failed_imports=False)
custom_hooks = [
    dict(_scope_='mmrazor', type=_guard)
    for _guard in ('RecipeCheckHook', 'SafeCheckpointHook', 'ExactResumeHook', 'FiniteLossHook')
]
