"""How long a step and the operator take, and whether memory grows."""
