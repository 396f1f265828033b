"""A distillation recipe for any teacher and student, see ``tools/new_recipe.py``."""

from .make import Recipe, new_recipe
from .networks import RecipeError
from .own_data import config_to_inherit, write_config_on_data
from .text import METHODS, other_classes
from .views import describe_views

__all__ = [
    'METHODS',
    'Recipe',
    'RecipeError',
    'config_to_inherit',
    'describe_views',
    'new_recipe',
    'other_classes',
    'write_config_on_data',
]
