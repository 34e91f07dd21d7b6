"""The loop that most tutorials write, to compare with: nothing else here uses it. Introduced in lesson 11."""

import itertools

import torch
from torch import nn

from gan_lib import data


def usual_loop(recipe, device="cpu", tidy=False):
    """Play `recipe`'s nets, with its batch size and rates, as classic tutorials do; each `next` is one pair of steps. Endless.

    A DataLoader over torchvision's data set with ToTensor and Normalize, probabilities and BCELoss, Adam as it comes. Fakes
    are made for each player, and not detached; `tidy`, as others write it: one pile of them for both, and detached for D.
    """
    from torchvision import datasets, transforms

    data.unpack(data.cache_folder() / "MNIST" / "raw")
    to_range = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    dataset = datasets.MNIST(data.cache_folder(), transform=to_range)
    loader = torch.utils.data.DataLoader(dataset, recipe.batch_size, shuffle=True, drop_last=True)
    game = recipe.game(device=device)
    generator, discriminator = game.generator, nn.Sequential(game.discriminator, nn.Sigmoid())
    g_optimizer = torch.optim.Adam(generator.parameters(), recipe.g_lr, recipe.betas)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), recipe.d_lr, recipe.betas)
    loss = nn.BCELoss()
    ones, zeros = (torch.full([recipe.batch_size], label, device=device) for label in (1.0, 0.0))
    for real, _ in itertools.chain.from_iterable(itertools.repeat(loader)):
        fake = generator(torch.randn(recipe.batch_size, recipe.latent_dim, device=device))
        d_loss = loss(discriminator(real.to(device)), ones)
        d_loss = d_loss + loss(discriminator(fake.detach() if tidy else fake), zeros)
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()

        if not tidy:
            fake = generator(torch.randn(recipe.batch_size, recipe.latent_dim, device=device))
        g_loss = loss(discriminator(fake), ones)
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        yield d_loss.detach(), g_loss.detach()
