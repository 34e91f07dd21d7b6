"""Self-checks of the exercises, one module for each lesson: `from gan_lib.checks import measure_a_gan as checks`."""
