"""The settings of games and recipes, and the ranges that they must lie in."""

SIZES = ("latent_dim", "width", "d_width", "channels", "batch_size", "epochs", "penalty_every")
RANGES = dict.fromkeys(SIZES, (1, 65_536)) | dict.fromkeys(("gamma", "g_lr", "d_lr"), (0.0, 1e300))
RANGES |= {"classes": (0, 65_536), "horizon": (1, 2**40), "seed": (-(2**32), 2**32), "step": (0, 2**40)}
RANGES |= {"betas": (0.0, 1 - 1e-9), "ema": (0.0, 1.0), "truncation": (1e-6, 1.0), "seconds": (0.0, 1e12)}


def check(**settings):
    """Raise `ValueError` with one sentence for the first setting outside its `RANGES`: integers where its ends are."""
    for name, value in settings.items():
        low, high = RANGES[name]
        kind, words = (int, "a whole number") if isinstance(low, int) else ((int, float), "a number")
        values, words = (value, "two numbers, each") if name == "betas" else ((value,), words)
        sound = isinstance(values, (tuple, list)) and len(values) == (2 if name == "betas" else 1)
        if not sound or any(isinstance(v, bool) or not isinstance(v, kind) or not low <= v <= high for v in values):
            raise ValueError(f"{name} must be {words} from {low:,} to {high:,}, not {value!r:.80}.")
