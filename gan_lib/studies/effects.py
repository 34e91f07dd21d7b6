"""How much a step along a latent direction changes its own attribute and the others. Lesson 10."""

from typing import NamedTuple

import torch

from gan_lib import UserError
from gan_lib.attributes import ATTRIBUTES


class Effect(NamedTuple):
    """What a step of 1 along a direction changes on average, in standard deviations of the attributes."""

    name: str
    explained: float  # adjusted R², from the direction
    own: float  # change of the attribute that the direction is named after
    leak: float  # change of the other attributes, root mean square
    random: float  # size of the change of the attribute along random directions of the same length


@torch.no_grad()
def measure(sampler, directions, attributes=ATTRIBUTES, n=1000, seed=1):
    """The `Effect` of each direction, which must have the name of one of `attributes`, averaged over n points z.

    The effect of random directions is averaged over 100 directions and n / 25 points.
    """
    z, names = sampler.noise(n, seed), list(attributes)
    if not {direction.name for direction in directions} <= set(names):
        raise UserError(f"Directions must be named after the attributes, which are: {', '.join(names)}.")
    samples = sampler.sample(1000, seed + 1)
    spread = {name: measure(samples).std() for name, measure in attributes.items()}
    units = torch.nn.functional.normalize(sampler.noise(100, seed + 2), dim=1)

    def change(vector, z, names):
        after, before = sampler.turns(z + vector / 2), sampler.turns(z - vector / 2)
        return torch.stack([(attributes[k](after) - attributes[k](before)).mean() / spread[k] for k in names])

    result = []
    for name, vector, explained in directions:
        changes = change(vector, z, [name, *(other for other in names if other != name)])
        leak = (changes[1:].square().sum() / max(1, len(names) - 1)).sqrt()
        by_chance = torch.cat([change(vector.norm() * unit, z[: -(-n // 25)], [name]) for unit in units])
        result.append(Effect(name, explained, changes[0].item(), leak.item(), by_chance.abs().mean().item()))
    return result
