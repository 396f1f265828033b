"""What goes wrong before a recipe is written."""


class RecipeError(ValueError):
    """A recipe cannot be made of what was given; the message says why and what would do."""
