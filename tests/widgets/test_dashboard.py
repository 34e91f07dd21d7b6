"""The dashboard shows the records and the same z; its buttons play what `train` plays, and an error ends nothing but the play."""

import asyncio
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from tests.widgets.test_html import decode

from gan_lib import checkpoint, data, evaluation, pictures, training
from gan_lib.studies import toys
from gan_lib.training import Record
from gan_lib.widgets import dashboard, html

TELLS = "step 2 · 0 s · d_loss"


def test_outside_a_notebook_a_record_is_a_printed_line(new_game, images, capsys):
    game = new_game()
    live = dashboard.live(game)
    for record in training.train(game, images, 4, record_every=2):
        live.update(record)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(TELLS)
    assert f"D(x) {live.records[1].d_real:.2f} · D(G(z)) {live.records[1].d_fake:.2f}" in second
    assert live.samples.value == live.curves.value == ""


def test_the_dashboard_shows_the_same_z_the_curves_and_the_numbers(new_game, images, capsys):
    game = new_game()
    live = dashboard.live(game, n=8)
    live.on_screen = True  # as in a notebook
    shown = []
    for record in training.train(game, images, 4, record_every=2):
        live.update(record)
        shown.append(decode(live.samples.value))
        assert (shown[-1] == pictures.tile(game.sampler()(game.sampler().noise(8)), 8)).all()
    assert not (shown[0] == shown[1]).all()
    assert live.line.value.startswith("step 4 ·")
    assert live.curves.value == html.curves_svg(live.records)
    assert capsys.readouterr().out == ""


def test_samples_are_drawn_anew_every_so_often(new_game, images):
    game = new_game()
    live = dashboard.live(game, n=4, every=2)
    live.on_screen = True
    seen = []
    for record in training.train(game, images, 4, record_every=1):
        live.update(record)
        seen.append(re.search(r"samples at step (\d)", live.samples.value)[1])
    assert seen == ["1", "1", "3", "3"]


def test_following_a_run_does_not_change_it(new_game, images):
    followed, alone = new_game(), new_game()
    live = dashboard.live(followed)
    live.on_screen = True
    for record in training.train(followed, images, 4, record_every=1):
        live.update(record)
    expected = list(training.train(alone, images, 4, record_every=1))
    assert [r._replace(seconds=0) for r in live.records] == [r._replace(seconds=0) for r in expected]


def test_no_figure_is_opened(new_game):
    """pyplot in a callback is slow, and not safe from another thread."""
    live = dashboard.live(new_game())
    live.on_screen = True
    live.update(Record(1, 8, 0.0, 1.0, 1.0, 0.5, 0.5))
    assert plt.get_fignums() == []


# With buttons


@pytest.fixture(autouse=True)
def _nothing_plays_on():
    yield
    dashboard.Live.playing = None


@pytest.fixture
def playing(images):
    """Make a dashboard with buttons, as in a notebook: `playing(game)`."""

    def make(game, images=images, **how):
        made = dashboard.live(game, images, **{"n": 4, "record_every": 2} | how)
        made.on_screen = True
        return made

    return make


async def until(happened):
    """Let the event loop run until `happened()`, for ten seconds at most."""
    for _ in range(2000):
        if happened():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


def plain(records):
    return [record._replace(seconds=0) for record in records]


def test_start_and_pause_play_exactly_what_train_plays(new_game, images, playing, state_of, differences, tmp_path):
    game, alone = new_game("dcgan"), new_game("dcgan")
    show = playing(game)

    async def use():
        for k in (1, 3):
            show.button.click()
            assert show.button.description == "pause"
            await until(lambda k=k: len(show.records) >= k)
            show.button.click()
            assert show.button.description == "start"
            stood = game.step
            await asyncio.sleep(0.1)
            assert game.step == stood
            assert show.line.value == f"paused at step {stood}"
            checkpoint.save(game, tmp_path / "pause.safetensors")

    asyncio.run(use())
    assert [record.step for record in show.records] == list(range(2, game.step + 1, 2))
    assert plain(show.records) == plain(training.train(alone, images, game.step, record_every=2))
    assert differences(state_of(game), state_of(alone)) == []
    resumed = checkpoint.load(new_game("dcgan", seed=1), tmp_path / "pause.safetensors")
    assert plain(training.train(resumed, images, 3)) == plain(training.train(alone, images, 3))


def test_while_it_plays_the_line_the_samples_and_the_curves_follow(new_game, playing):
    game = new_game()
    show = playing(game)

    async def use():
        show.button.click()
        await until(lambda: len(show.records) == 3)
        assert show.line.value.startswith("step 6 ·")
        assert show.curves.value == html.curves_svg(show.records)
        assert (decode(show.samples.value) == pictures.tile(game.sampler()(game.sampler().noise(4)), 8)).all()

    asyncio.run(use())


def test_a_cell_may_train_the_same_game_meanwhile(new_game, images, playing, state_of, differences):
    game, alone = new_game(), new_game()
    show = playing(game)

    async def use():
        show.button.click()
        await until(lambda: show.records)
        list(training.train(game, images, 5))  # a cell runs between two messages
        seen = len(show.records)
        await until(lambda: len(show.records) > seen)
        show.button.click()

    asyncio.run(use())
    list(training.train(alone, images, game.step))
    assert differences(state_of(game), state_of(alone)) == []


def test_however_quickly_it_is_pressed_one_task_plays(new_game, playing):
    show = playing(new_game())

    async def use():
        for _ in range(5):
            show.button.click()  # start, pause, start, pause, start
        await until(lambda: len(show.records) == 3)
        assert len(asyncio.all_tasks()) == 2  # this one, and that which plays
        show.button.click()

    asyncio.run(use())


def test_another_dashboard_takes_the_place_of_the_one_that_plays(new_game, playing):
    first, other = playing(new_game()), new_game()

    async def use():
        first.button.click()
        await until(lambda: first.records)
        second = playing(other)  # a cell that is run again
        stood = first.game.step
        assert first.button.description == "start"
        second.button.click()
        await until(lambda: second.records)
        first.button.click()
        assert (first.button.description, second.button.description) == ("pause", "start")
        await until(lambda: first.game.step > stood)
        first.button.click()

    asyncio.run(use())


@pytest.mark.parametrize("nets", ["mlp", "dcgan"])
def test_d_then_g_is_one_pair_of_train(nets, new_game, images, playing, state_of, differences):
    game, alone = new_game(nets), new_game(nets)
    show = playing(game)
    for _ in range(3):
        show.d_step.click()
        show.g_step.click()
    list(training.train(alone, images, 3))
    assert differences(state_of(game), state_of(alone)) == []


def test_each_player_alone_goes_on_to_other_images(new_game, images, playing, monkeypatch):
    seen, game = [], new_game()
    for name in ("discriminator_step", "generator_step"):
        step = getattr(training, name)
        watch = lambda game, real, fake, step=step, name=name: (
            seen.append((name[0], game.step, real, fake)) or step(game, real, fake)
        )
        monkeypatch.setattr(training, name, watch)
    show = playing(game)
    for button in (show.d_step, show.d_step, show.g_step, show.g_step, show.d_step):
        button.click()
    assert [(player, step) for player, step, *_ in seen] == [("d", 0), ("d", 1), ("g", 1), ("g", 2), ("d", 3)]
    order = data.batches(images, 8, seed=0)
    batches = [next(order) for _ in range(4)]
    assert all(real.equal(batches[step]) for _, step, real, _ in seen)
    assert seen[1][3] is seen[2][3]  # G answers on the fakes that D has judged
    assert not seen[0][3].equal(seen[1][3])


def test_g_does_not_answer_a_step_of_d_from_before_other_training(new_game, images, playing):
    game = new_game()
    show = playing(game)
    show.d_step.click()
    list(training.train(game, images, 2))
    before = game.rng.get_state()
    show.g_step.click()
    assert "G made one step" in show.line.value
    assert game.step == 3
    assert not game.rng.get_state().equal(before)  # it drew a z of its own


@pytest.mark.parametrize("nets", ["mlp", "dcgan"])
def test_a_step_shows_opinions_of_the_same_images_and_z_before_and_after(nets, new_game, images, playing):
    game, twin = new_game(nets, g_lr=2e-3, d_lr=2e-3), new_game(nets, g_lr=2e-3, d_lr=2e-3)
    show = playing(game)
    real, z = next(data.batches(images, 8, seed=0)), twin.noise(8)

    def judged():  # with the nets as they are while they train; of the twin nobody needs BatchNorm's statistics
        with torch.no_grad():
            real_logits, fake_logits = twin.judge_both(real, twin.generate(z))
        losses = twin.loss.discriminator(real_logits, fake_logits), twin.loss.generator(real_logits, fake_logits)
        return [f"{value:.3f}" for value in (real_logits.sigmoid().mean(), fake_logits.sigmoid().mean(), *losses)]

    for player, button, step in (
        ("D", show.d_step, training.discriminator_step),
        ("G", show.g_step, training.generator_step),
    ):
        before = judged()
        step(twin, real, twin.generate(z))
        after = judged()
        button.click()
        d_real, d_fake, d_loss, g_loss = (" → ".join(pair) for pair in zip(before, after, strict=True))
        assert f"{player} made one step: d_loss {d_loss} · g_loss {g_loss}" in show.line.value
        assert f"D(x) {d_real}, D(G(z)) {d_fake}" in show.move.value
        own = 2 if player == "D" else 3
        assert float(after[own]) < float(before[own])  # each walks down its own loss
        if player == "G":
            assert after[1] > before[1]


def test_looking_changes_nothing(new_game, images, state_of, differences):
    game = new_game("dcgan")
    before = state_of(game)
    dashboard.opinion(game, data.to_range(images[:8]), torch.zeros(8, 5))
    dashboard.live(game, images)
    assert differences(state_of(game), before) == []


def test_a_single_step_pauses_first_and_start_goes_on(new_game, playing):
    show = playing(new_game())

    async def use():
        show.button.click()
        await until(lambda: show.records)
        show.d_step.click()
        assert show.button.description == "start"
        assert "D made one step" in show.line.value
        assert show.move.value != ""
        stood = show.game.step
        await asyncio.sleep(0.05)
        assert show.game.step == stood
        show.button.click()
        assert show.move.value == ""  # it is about another moment
        await until(lambda: show.game.step > stood)
        show.button.click()

    asyncio.run(use())


def test_g_does_not_answer_a_step_of_d_in_a_game_that_was_loaded_or_exchanged(new_game, playing, tmp_path):
    game = new_game()
    checkpoint.save(game, tmp_path / "game.safetensors")
    show = playing(game)
    show.d_step.click()
    checkpoint.load(game, tmp_path / "game.safetensors")  # the same step, other weights
    show.g_step.click()
    assert show.line.value.startswith("step 1 · G made one step")
    show = playing(new_game())
    show.d_step.click()
    show.game = new_game(seed=5)  # as new as the other
    weights = [weight.clone() for weight in show.game.generator.parameters()]
    show.g_step.click()
    assert not all(a.equal(b) for a, b in zip(weights, show.game.generator.parameters(), strict=True))


def test_a_rate_slider_leaves_the_other_player_alone(new_game, playing):
    game = new_game(g_lr=1e-7, d_lr=3e-4)  # less than the slider shows
    show = playing(game)
    show.rates[1].value = 4e-3
    assert game.rates == (1e-7, pytest.approx(4e-3))


def test_of_a_game_that_has_gone_back_the_curves_go_on_from_there(new_game):
    live = dashboard.live(new_game())
    live.on_screen = True
    for step in (10, 20, 30, 15):
        live.update(Record(step, 8, 0.0, 1.0, 1.0, 0.5, 0.5))
    assert [record.step for record in live.records] == [10, 15]


def test_points_need_a_picture(new_game):
    with pytest.raises(ValueError, match="Points are no images: give `live` a picture"):
        dashboard.live(new_game(), torch.distributions.Normal(0, 1))


@pytest.mark.parametrize("horizon", [None, 10**6])
def test_a_rate_slider_acts_at_once(horizon, new_game, playing):
    game = new_game(g_lr=2e-4, d_lr=3e-4)
    game.horizon = horizon
    show = playing(game)
    rate = {slider.description: slider for slider in show.rates}
    assert (rate["rate of G"].value, rate["rate of D"].value) == (2e-4, 3e-4)
    rate["rate of D"].value = 4e-3
    assert game.d_optimizer.param_groups[0]["lr"] == pytest.approx(4e-3)
    assert game.g_optimizer.param_groups[0]["lr"] == pytest.approx(2e-4)

    async def use():
        show.button.click()
        await until(lambda: show.records)
        rate["rate of G"].value = 5e-3
        seen = len(show.records)
        await until(lambda: len(show.records) > seen)
        show.button.click()

    asyncio.run(use())
    assert game.g_optimizer.param_groups[0]["lr"] == pytest.approx(5e-3, rel=1e-3)
    assert game.d_optimizer.param_groups[0]["lr"] == pytest.approx(4e-3, rel=1e-3)


def test_a_run_that_diverges_says_so_and_leaves_the_dashboard_usable(new_game, images, playing):
    game = new_game(loss="minimax")
    show = playing(game)

    async def use():
        weights = next(game.generator.parameters())
        kept = weights.detach().clone()
        with torch.no_grad():
            weights.fill_(float("nan"))
        show.button.click()
        await until(lambda: "Diverged" in show.line.value)
        assert "A loss stopped being a number" in show.line.value
        assert (show.task, show.button.description) == (None, "start")
        with torch.no_grad():
            weights.copy_(kept)
        await asyncio.sleep(0.05)
        assert "Diverged" in show.line.value

    asyncio.run(use())


def test_an_error_appears_in_the_line(new_game, playing):
    show = playing(new_game(), images=torch.zeros(48, 28, 28))
    show.d_step.click()
    assert show.line.value.startswith("<b>ValueError</b>: The images must be uint8")
    show.button.click()
    assert (
        show.line.value == "<b>RuntimeError</b>: Start works in a notebook only; elsewhere, loop over training.train."
    )
    show.game.batch_size = "eight"
    show.g_step.click()
    assert show.line.value.startswith("<b>TypeError</b>: &#x27;&lt;&#x27; not supported")


def test_classes_are_counted_now_and_then(new_game, playing, monkeypatch):
    game, counted = new_game(), []
    show = playing(game, every=2)
    now = evaluation.class_counts(game.sampler()(game.sampler().noise(100)))
    assert show.classes.value == html.classes_svg(now.tolist())
    ones = lambda images: counted.append(len(show.records)) or torch.tensor([len(images) - 9, *[1] * 9])
    monkeypatch.setattr(evaluation, "class_counts", ones)
    show.g_step.click()
    assert counted == [0]
    assert show.classes.value == html.classes_svg([91, *[1] * 9])

    async def use():
        show.button.click()
        await until(lambda: len(show.records) >= 43)
        assert counted == [0, 1, 21, 41]
        show.button.click()
        assert counted[4:] == [len(show.records)]  # what is on the screen at a pause is of now

    asyncio.run(use())


class World:
    def sample(self, n, rng):
        return torch.randn(n, 2, generator=rng)


def test_a_world_of_points_has_its_own_picture_and_no_classes(playing):
    discriminator = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    game = training.Game(torch.nn.Linear(3, 2), discriminator, latent_dim=3, batch_size=8)
    picture = lambda game: np.full((5, 6, 3), game.step, np.uint8)
    show = playing(game, World(), picture=picture, size=60)
    assert (decode(show.samples.value) == 0).all()
    show.d_step.click()
    show.g_step.click()
    assert (decode(show.samples.value) == 1).all()
    assert 'width="60" height="50"' in show.samples.value

    async def use():
        show.button.click()
        await until(lambda: len(show.records) == 2)
        show.button.click()

    asyncio.run(use())
    assert (decode(show.samples.value) == game.step).all()
    assert game.step > 1
    assert show.classes.value == ""


def test_on_points_it_plays_what_train_plays_also_with_a_gamma_that_is_changed_meanwhile(
    playing, state_of, differences
):
    def new_toy():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            nets = toys.nets(width=8)
        return training.Game(*nets, latent_dim=2, batch_size=16, g_lr=0.02, d_lr=0.01)

    game, alone = new_toy(), new_toy()
    show = playing(game, toys.ring(), picture=lambda game: np.zeros((2, 2, 3), np.uint8), record_every=60)
    for act in (show.d_step.click, show.g_step.click, show.advance, show.advance):
        act()  # past a hundred iterations, where the diagnosis looks at them
    game.gamma = 1.0
    show.advance()
    assert "step 180 ·" in show.line.value
    list(training.train(alone, toys.ring(), 120))
    alone.gamma = 1.0
    list(training.train(alone, toys.ring(), 60))
    assert differences(state_of(game), state_of(alone)) == []


def test_the_controls_are_widgets_that_ipywidgets_7_has_too(new_game, playing):
    def family(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from family(child)

    used = list(family(playing(new_game()).widget))
    core = {"HBox", "VBox", "HTML", "Button", "FloatLogSlider"}
    assert {type(widget).__name__ for widget in used} == core
    assert all(type(widget).__module__.startswith("ipywidgets.") for widget in used)
    words = [widget.description for widget in used if isinstance(widget, ipywidgets.Button)]
    assert words == ["start", "D: 1 step", "G: 1 step"]
