"""The dashboard shows the records and a fixed z; its buttons train as `train` does, and an error stops only the training."""

import asyncio
import copy
import functools
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from gan_lib import UserError, checkpoint, data, evaluation, pictures, training, widgets
from gan_lib.studies import toys
from gan_lib.training import Record
from gan_lib.widgets import dashboard, html
from tests.widgets.test_html import decode


@pytest.fixture(autouse=True)
def _nothing_trains_on():
    yield
    dashboard.Live.playing = None


def live(game, images=None, **how):
    """A dashboard as in a notebook."""
    made = widgets.live(game, images, **{"n": 4, "record_every": 2} | how)
    made.on_screen = True
    return made


def in_a_loop(test):
    """Run an async test in an event loop, as a kernel runs cells and buttons."""
    return functools.wraps(test)(lambda *args, **kwargs: asyncio.run(test(*args, **kwargs)))


async def until(happened):
    """Let the event loop run until `happened()`, for two minutes at most."""
    async with asyncio.timeout(120):
        while not happened():
            await asyncio.sleep(0.005)


async def records(show, n):
    """Wait for n more records."""
    seen = len(show.records)
    await until(lambda: len(show.records) >= seen + n)


def without_seconds(records):
    return [record._replace(seconds=0) for record in records]


def samples(game, n=4):
    return pictures.tile(game.sampler()(game.sampler().noise(n)), 8)


# It follows


def test_outside_a_notebook_a_record_is_a_printed_line(new_game, images, capsys):
    game = new_game()
    show = widgets.live(game)
    for record in training.train(game, images, 4, record_every=2):
        show.update(record)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("step 2 · 0 s · d_loss")
    assert f"D(x) {show.records[1].d_real:.2f} · D(G(z)) {show.records[1].d_fake:.2f}" in second
    assert show.samples.value == show.curves.value == ""


def test_following_shows_samples_curves_and_numbers_and_changes_nothing(new_game, images, capsys):
    game, shown = new_game(), []
    show = live(game, n=8, every=2)
    for record in training.train(game, images, 4, record_every=1):
        show.update(record)
        shown.append(show.samples.value)
        if record.step % 2:
            assert show.line.value.startswith(f"step {record.step} ·")
            assert (decode(show.samples.value) == samples(game, 8)).all()
            assert show.curves.value == html.curves_svg(show.records)
    assert [re.search(r"samples at step (\d)", value)[1] for value in shown] == ["1", "1", "3", "3"]
    assert not (decode(shown[0]) == decode(shown[2])).all()
    assert capsys.readouterr().out == ""
    assert without_seconds(show.records) == without_seconds(training.train(new_game(), images, 4, record_every=1))


def test_the_curves_of_a_game_that_was_reset_continue_from_there(new_game):
    show = live(new_game())
    for step in (10, 20, 30, 15):
        show.update(Record(step, 8, 0.0, 1.0, 1.0, 0.5, 0.5))
    assert [record.step for record in show.records] == [10, 15]


# It trains


@in_a_loop
async def test_start_pause_and_a_cell_meanwhile_equal_train(new_game, images, state_of, differences, tmp_path):
    game, alone = new_game("dcgan"), new_game("dcgan")
    show = live(game, images)
    for n in (1, 2):
        show.button.click()
        assert show.button.description == "pause"
        await records(show, n)
        assert show.line.value.startswith(f"step {game.step} ·")
        assert show.curves.value == html.curves_svg(show.records)
        assert (decode(show.samples.value) == samples(game)).all()
        show.button.click()
        assert show.button.description == "start"
        step = game.step
        await asyncio.sleep(0.1)
        assert game.step == step
        assert show.line.value == f"paused at step {step}"
        checkpoint.save(game, tmp_path / "pause.safetensors")
    assert [record.step for record in show.records] == list(range(2, game.step + 1, 2))
    expected = training.train(alone, images, game.step, record_every=2)
    assert without_seconds(show.records) == without_seconds(expected)
    assert differences(state_of(game), state_of(alone)) == []
    resumed = checkpoint.load(new_game("dcgan", seed=1), tmp_path / "pause.safetensors")
    assert without_seconds(training.train(resumed, images, 3)) == without_seconds(training.train(alone, images, 3))
    show.button.click()
    await records(show, 1)
    list(training.train(game, images, 5))  # a cell runs between two messages
    await records(show, 1)
    show.button.click()
    list(training.train(alone, images, game.step - alone.step))
    assert differences(state_of(game), state_of(alone)) == []


@in_a_loop
async def test_one_task_trains_however_many_dashboards_and_presses_there_are(new_game, images):
    first = live(new_game(), images)
    first.button.click()
    await records(first, 1)
    second = live(new_game(), images)  # a cell that is run again
    step = first.game.step
    assert first.button.description == "start"
    for _ in range(5):
        second.button.click()  # start, pause, start, pause, start
    await records(second, 3)
    first.button.click()
    assert (first.button.description, second.button.description) == ("pause", "start")
    await until(lambda: first.game.step > step)
    assert len(asyncio.all_tasks()) == 2  # this one, and the one that trains
    first.button.click()


@in_a_loop
async def test_a_single_step_pauses_first_and_start_continues(new_game, images):
    show = live(new_game(), images)
    show.button.click()
    await records(show, 1)
    show.d_step.click()
    assert show.button.description == "start"
    assert "D made one step" in show.line.value
    assert show.move.value != ""
    step = show.game.step
    await asyncio.sleep(0.05)
    assert show.game.step == step
    show.button.click()
    assert show.move.value == ""  # it is about an earlier step
    await until(lambda: show.game.step > step)
    show.button.click()


# Single steps


def test_a_step_of_d_and_one_of_g_are_one_iteration(new_game, images, state_of, differences):
    game, alone = new_game("dcgan"), new_game("dcgan")
    show = live(game, images)
    for _ in range(3):
        show.d_step.click()
        show.g_step.click()
    list(training.train(alone, images, 3))
    assert differences(state_of(game), state_of(alone)) == []  # what D says before and after changes nothing


def test_each_player_alone_continues_with_other_images(new_game, images, monkeypatch):
    seen = []
    for name in ("discriminator_step", "generator_step"):
        step = getattr(training, name)
        watch = lambda game, real, fake, y, step=step, name=name: (
            seen.append((name[0], game.step, real, fake)) or step(game, real, fake, y)
        )
        monkeypatch.setattr(training, name, watch)
    show = live(new_game(), images)
    for button in (show.d_step, show.d_step, show.g_step, show.g_step, show.d_step):
        button.click()
    assert [(player, step) for player, step, *_ in seen] == [("d", 0), ("d", 1), ("g", 1), ("g", 2), ("d", 3)]
    order = data.batches(images, 8, seed=0)
    batches = [next(order) for _ in range(4)]
    assert all(real.equal(batches[step]) for _, step, real, _ in seen)
    assert seen[1][3] is seen[2][3]  # G is updated on the fakes that D has judged
    assert not seen[0][3].equal(seen[1][3])


@pytest.mark.parametrize("change", ["train", "load", "exchange"])
def test_g_does_not_complete_a_step_of_d_if_the_game_has_changed(change, new_game, images, tmp_path):
    show = live(new_game(), images)
    checkpoint.save(show.game, tmp_path / "game.safetensors")
    show.d_step.click()
    if change == "train":
        list(training.train(show.game, images, 2))
    elif change == "load":
        checkpoint.load(show.game, tmp_path / "game.safetensors")  # the same step, other weights
    else:
        show.game = new_game(seed=5)  # as new as the other
    step, rng = show.game.step, show.game.rng.get_state()
    show.g_step.click()
    assert show.line.value.startswith(f"step {step + 1} · G made one step")
    assert not show.game.rng.get_state().equal(rng)  # it drew a z of its own


@pytest.mark.parametrize("nets", ["mlp", "dcgan"])
def test_a_step_shows_d_before_and_after_for_the_same_images_and_z(nets, new_game, images):
    game, twin = new_game(nets, g_lr=2e-3, d_lr=2e-3), new_game(nets, g_lr=2e-3, d_lr=2e-3)
    show = live(game, images)
    real, z = next(data.batches(images, 8, seed=0)), twin.noise(8)

    @torch.no_grad()
    def judge():  # the nets are in training mode; BatchNorm's statistics of the twin don't matter
        logits = twin.judge_both(real, twin.generate(z))
        losses = twin.loss.discriminator(*logits), twin.loss.generator(*logits)
        return [f"{value:.3f}" for value in (*(each.sigmoid().mean() for each in logits), *losses)]

    for player, step in (("D", training.discriminator_step), ("G", training.generator_step)):
        button, own_loss = (show.d_step, 2) if player == "D" else (show.g_step, 3)
        before = judge()
        step(twin, real, twin.generate(z))
        after = judge()
        button.click()
        d_real, d_fake, d_loss, g_loss = (" → ".join(pair) for pair in zip(before, after, strict=True))
        assert f"{player} made one step: d_loss {d_loss} · g_loss {g_loss}" in show.line.value
        assert f"D(x) {d_real}, D(G(z)) {d_fake}" in show.move.value
        assert float(after[own_loss]) < float(before[own_loss])
    assert after[1] > before[1]  # D(G(z)) by the step of G


# Learning rates, errors, classes and points


@pytest.mark.parametrize("horizon", [None, 10**6])
@in_a_loop
async def test_a_rate_slider_acts_immediately(horizon, new_game, images):
    game = new_game(g_lr=1e-7, d_lr=3e-4)  # G's is less than its slider shows
    game.horizon = horizon
    show = live(game, images)
    rate = {slider.description: slider for slider in show.rates}
    rates = lambda: [optimizer.param_groups[0]["lr"] for optimizer in (game.g_optimizer, game.d_optimizer)]
    assert rate["rate of D"].value == 3e-4
    rate["rate of D"].value = 4e-3
    assert game.rates == (1e-7, pytest.approx(4e-3))
    assert rates() == [pytest.approx(1e-7), pytest.approx(4e-3)]
    show.button.click()
    await records(show, 1)
    rate["rate of G"].value = 5e-3
    await records(show, 1)
    show.button.click()
    assert rates() == pytest.approx([5e-3, 4e-3], rel=1e-3)


@in_a_loop
async def test_divergence_stops_the_training_and_stays_in_the_line(new_game, images):
    game = new_game(loss="minimax")
    show = live(game, images)
    weights = next(game.generator.parameters())
    kept = weights.detach().clone()
    weights.data.fill_(float("nan"))
    show.button.click()
    await until(lambda: "Diverged" in show.line.value)
    assert "A loss stopped being a number" in show.line.value
    assert (show.task, show.button.description) == (None, "start")
    weights.data.copy_(kept)
    await asyncio.sleep(0.05)
    assert "Diverged" in show.line.value


def test_an_error_appears_in_the_line(new_game):
    show = live(new_game(), torch.zeros(48, 28, 28))
    show.d_step.click()
    assert show.line.value.startswith("<b>UserError</b>: The images must be uint8")
    show.button.click()
    message = "Start works in a notebook only; elsewhere, loop over training.train."
    assert show.line.value == f"<b>RuntimeError</b>: {message}"
    show.game.batch_size = "eight"
    show.g_step.click()
    assert show.line.value.startswith("<b>TypeError</b>: &#x27;&lt;&#x27; not supported")


@in_a_loop
async def test_classes_are_counted_at_every_tenth_drawing(new_game, images, monkeypatch):
    game, seen = new_game(), []
    show = live(game, images, every=2)
    counts = evaluation.class_counts(game.sampler()(game.sampler().noise(100)))
    assert show.classes.value == html.classes_svg(counts.tolist())
    ones = lambda images: seen.append(len(show.records)) or torch.tensor([len(images) - 9, *[1] * 9])
    monkeypatch.setattr(evaluation, "class_counts", ones)
    show.g_step.click()
    assert seen == [0]
    assert show.classes.value == html.classes_svg([91, *[1] * 9])
    show.button.click()
    await records(show, 43)
    assert seen == [0, 1, 21, 41]
    show.button.click()
    assert seen[4:] == [len(show.records)]  # after a pause they are up to date


def test_a_world_of_points_has_its_own_picture_and_equals_train_also_if_gamma_changes(state_of, differences):
    game = training.Game(*toys.nets(width=8), latent_dim=2, batch_size=16, g_lr=0.02, d_lr=0.01)
    with pytest.raises(UserError, match="Points are not images: give `live` a picture"):
        widgets.live(game, toys.Ring())
    alone, picture = copy.deepcopy(game), lambda game: np.full((5, 6, 3), game.step, np.uint8)
    show = live(game, toys.Ring(), picture=picture, size=60, record_every=60)
    for act, step in ((show.d_step.click, 0), (show.g_step.click, 1), (show.advance, 60), (show.advance, 120)):
        act()  # past a hundred iterations, where the diagnosis tries one
        assert (decode(show.samples.value) == step).all()
    game.gamma = 1.0
    show.advance()
    assert "step 180 ·" in show.line.value
    assert 'width="60" height="50"' in show.samples.value
    assert show.classes.value == ""
    list(training.train(alone, toys.Ring(), 120))
    alone.gamma = 1.0
    list(training.train(alone, toys.Ring(), 60))
    assert differences(state_of(game), state_of(alone)) == []


def test_its_buttons_have_words_and_pyplot_holds_no_figure(new_game, images):
    """pyplot in a callback is slow, and not safe from another thread."""
    show = live(new_game(), images)
    show.advance()
    words = [each.description for each in (show.button, show.d_step, show.g_step)]
    assert words == ["start", "D: 1 step", "G: 1 step"]
    assert plt.get_fignums() == []
