"""Checks of the lesson on speed: Amdahl's law, the fast step."""

from gan_lib import recipes, training
from gan_lib.checks.check import call, check, same


@check
def amdahl(answer):
    """`answer(share, factor)` → the speed-up of the whole, when a share of it becomes `factor` times as fast."""
    for share, factor in ((0.5, 2.0), (0.3, 10.0), (0.8, 4.0)):
        got, expected = call(answer, share, factor), 1 / (1 - share + share / factor)
        yield same(got, 1 / expected), "that is the time that is left; the speed-up is its inverse."
        yield not same(got, expected), f"for a share of {share} and a factor of {factor:g} it should be {expected:.3f}."


def reference_fast_step(game, real, z):
    """The right answer to `fast_step`. The lesson uses it until the learner's answer is right."""
    fake = game.generate(z)
    return training.discriminator_step(game, real, fake)[0], training.generator_step(game, real, fake)


@check
def fast_step(answer):
    """`answer(game, real, z)` → (d_loss, g_loss) of one iteration: G runs once, D twice, and no gradient is unused."""
    recipe, seen = recipes.Recipe("mlp", "mlp", latent_dim=5, width=6, batch_size=8, g_lr=0.01, d_lr=0.01), []
    game, ours = recipe.game(), recipe.game()
    for name, net in (("G", game.generator), ("D", game.discriminator)):
        net.register_forward_hook(lambda *_, name=name: seen.append(name))
        next(net.parameters()).register_hook(lambda _, name=name: seen.append(f"gradients of {name}"))
    for n in (1, 2, 3):
        real, z = ours.noise(8 * 784).view(-1, 1, 28, 28)[:8], ours.noise(8)
        game.dtype = ours.dtype = z.dtype  # float32, in which rounding is small
        got, expected = call(answer, game, real, z), reference_fast_step(ours, real, z)
        yield seen.count("G") != n, f"G runs {seen.count('G')} times, not once: both steps can use the same fakes."
        yield seen.count("D") != 2 * n, f"D runs {seen.count('D')} times, not twice: real and fake fit in one batch."
        yield seen.count("gradients of G") != n, "D's step computes gradients of G, which nobody uses: use detach."
        yield seen.count("gradients of D") != n, "G's step computes gradients of D's weights, which nobody uses."
        yield not same([a.item() for a in got], [a.item() for a in expected], 1e-4), "the losses are not lesson 02's."
