"""What the buttons do to the players, and that the picture follows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from gan_lib import toys, training
from gan_lib.arena import Arena, play
from gan_lib.losses import LOSSES
from tests.test_pictures import decode


def new_toy(**settings):
    """A game of two small nets in the plane, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nets = toys.nets(width=8)
    return training.Game(*nets, latent_dim=2, batch_size=16, **{"g_lr": 0.02, "d_lr": 0.01} | settings)


def weights_as_picture(game):
    """A picture uint8 [16, 8, 3] that is another one after any step of either player."""
    weights = torch.cat([game.generator[2].weight, game.discriminator[2].weight]).detach()
    return (weights.unsqueeze(2).expand(16, 8, 3) * 1e4).long().remainder(256).numpy().astype(np.uint8)


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()]).clone()


def test_moves_are_the_steps_of_the_package_each_on_new_points_and_new_noise():
    game, by_hand = new_toy(gamma=0.25), new_toy(gamma=0.25)
    play(game, toys.ring(), "DDG")
    for step in (training.discriminator_step, training.discriminator_step, training.generator_step):
        real, z = toys.ring().sample(16, by_hand.rng), by_hand.noise(16)
        step(by_hand, real, by_hand.generate(z))
    assert weights(game.generator).equal(weights(by_hand.generator))
    assert weights(game.discriminator).equal(weights(by_hand.discriminator))


@pytest.mark.parametrize(("button", "moves"), [(0, "D"), (1, "G"), (2, "DG")])
def test_a_button_moves_the_players_that_it_names_and_the_picture_follows(button, moves):
    game = new_toy()
    arena = Arena(game, toys.ring(), weights_as_picture, size=200)
    assert (decode(arena.image.value) == weights_as_picture(game)).all()
    before = {"G": weights(game.generator), "D": weights(game.discriminator)}
    shown = arena.image.value
    arena.buttons[button].click()
    after = {"G": weights(game.generator), "D": weights(game.discriminator)}
    assert {name for name in "GD" if not after[name].equal(before[name])} == set(moves)
    assert (decode(arena.image.value) == weights_as_picture(game)).all()
    assert arena.image.value != shown
    assert 'width="200"' in shown
    assert arena.status.value == f"D made {moves.count('D')} steps, G {moves.count('G')}"


def test_a_hundred_rounds_are_the_same_as_by_hand():
    game, by_hand = new_toy(gamma=0.25), new_toy(gamma=0.25)
    arena = Arena(game, toys.ring(), weights_as_picture)
    arena.buttons[3].click()
    play(by_hand, toys.ring(), 100 * "DG")
    assert weights(game.generator).equal(weights(by_hand.generator))
    assert arena.status.value == "D made 100 steps, G 100"


def test_loss_gamma_and_rates_are_those_of_the_game_until_they_are_changed():
    game = new_toy(loss=LOSSES["relativistic"], gamma=0.5)
    arena = Arena(game, toys.ring(), weights_as_picture)
    assert (arena.loss.value, arena.gamma.value, arena.rates.value) == (LOSSES["relativistic"], 0.5, 1)
    assert arena.loss.label == "relativistic"
    arena.move("DG")
    assert (game.loss, game.gamma) == (LOSSES["relativistic"], 0.5)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in (game.g_optimizer, game.d_optimizer)]
    assert rates == [0.02, 0.01]
    arena.loss.label, arena.gamma.value, arena.rates.value = "minimax", 1.5, 0.1
    arena.move("DG")
    assert (game.loss, game.gamma) == (LOSSES["minimax"], 1.5)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in (game.g_optimizer, game.d_optimizer)]
    assert rates == pytest.approx([0.002, 0.001])


def test_an_error_appears_in_the_status_line_and_goes_again():
    arena = Arena(new_toy(), toys.ring(), weights_as_picture)
    shown, arena.picture = arena.image.value, lambda game: 1 / 0
    arena.move("D")
    assert arena.status.value == "<b>ZeroDivisionError</b>: division by zero"
    assert arena.image.value == shown
    arena.picture = weights_as_picture
    arena.move("D")
    assert arena.status.value == "D made 2 steps, G 0"


def family(widget):
    yield type(widget).__mro__[1 if type(widget).__module__ == "gan_lib.arena" else 0].__name__
    for child in getattr(widget, "children", ()):
        yield from family(child)


def test_only_widgets_that_ipywidgets_7_has_are_used_and_no_figure_is_opened():
    used = {*family(Arena(new_toy(), toys.ring(), weights_as_picture))}
    assert used == {"HBox", "VBox", "HTML", "FloatSlider", "FloatLogSlider", "Dropdown", "Button"}
    assert plt.get_fignums() == []
