"""Generative adversarial networks (GANs) for handwritten digits, small enough to read in an evening.

Start at `training.py`. The lessons in `notebooks/` build each piece in front of the reader, then import it from here.
"""

__version__ = "0.2.0"


class UserError(ValueError):
    """Something that the user got wrong, in one sentence. Every other exception is a bug of this package."""

    def __str__(self):
        """The sentence in one line, also where a name in it has a line break."""
        return " ".join(super().__str__().splitlines())
