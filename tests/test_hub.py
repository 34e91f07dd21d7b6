"""`torch.hub` finds the trained generators in hubconf.py."""

import re

import torch

from gan_lib import recipes
from tests import ROOT


def test_each_trained_generator_is_loaded_by_its_name():
    functions = re.findall(r"^def (\w+)", (ROOT / "hubconf.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(functions) == sorted(recipes.pretrained_names())
    for name in recipes.pretrained_names():
        sampler = torch.hub.load(ROOT, name, source="local")
        assert sampler.sample(2).equal(recipes.pretrained(name).sample(2))
