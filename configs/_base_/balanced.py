# Losses whose weights set themselves: _base_ = ['my_recipe.py', 'mmrazor_tat::_base_/balanced.py'].
custom_hooks = [dict(type='mmrazor.GradientBalanceHook', target=0.5)]
