"""gan_lib: generative adversarial networks for handwritten digits, small enough to read in an evening.

The lessons in `notebooks/` first build each piece in front of the reader, then import it from here.
Start at `training.py`; every module says on which lesson's ground it stands.
"""

__version__ = "0.1.0"
