"""The trained generators for `torch.hub`: `torch.hub.load("owner/name", "dcgan")` returns a `Sampler`, a function of z."""

dependencies = ["torch", "torchvision", "safetensors", "numpy", "platformdirs", "filelock"]

from gan_lib import recipes as _recipes  # noqa: E402  # torch.hub checks `dependencies` first


def mlp(device="cpu"):
    """The vanilla GAN of lesson 02. `mlp()(z)` maps z [N, 64] to digits [N, 1, 28, 28] in [-1, 1]."""
    return _recipes.pretrained("mlp", device)


def dcgan(device="cpu"):
    """The DCGAN of lesson 03. `dcgan().sample(100)` returns 100 digits."""
    return _recipes.pretrained("dcgan", device)


def best(device="cpu"):
    """The generator with the smallest Fréchet distance in README's table."""
    return _recipes.pretrained("best", device)


def cgan(device="cpu"):
    """A class-conditional generator. `cgan().of(7)` is a `Sampler` of sevens."""
    return _recipes.pretrained("cgan", device)
