# Our package, and the hooks that every run of ours has. A config takes them by
# `default_hooks = _base_.pop('guards')`: a list of custom_hooks of one's own would replace them.
custom_imports = dict(imports=['mmrazor_tat'], allow_failed_imports=False)
guards = dict(
    recipe_check=dict(type='mmrazor.RecipeCheckHook'),
    safe_checkpoint=dict(type='mmrazor.SafeCheckpointHook'),
    exact_resume=dict(type='mmrazor.ExactResumeHook'),
    finite_loss=dict(type='mmrazor.FiniteLossHook'))
