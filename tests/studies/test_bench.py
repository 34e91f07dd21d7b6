"""What the bench measures is what it says, and what it compares with plays the same game."""

import itertools
import json
import math
import time

import pytest
import torch
from scipy import stats

from gan_lib import __main__ as command_line
from gan_lib import data, evaluation, hardware, recipes, reference, training
from gan_lib.studies import bench

TINY = recipes.Recipe("mlp", "mlp", latent_dim=5, width=6, batch_size=8, betas=(0.9, 0.999))


@pytest.mark.parametrize("tidy", [False, True])
def test_the_usual_loop_plays_our_game_to_rounding(tidy, monkeypatch):
    """The same nets, given the same batches and the same noise, come out the same after twenty pairs of steps.

    Ours and the tidy one make one pile of fakes for both players; the usual loop is given the same noise twice.
    """
    ours = TINY.game()
    ours.dtype = torch.float32
    batches = list(itertools.islice(data.batches(data.load().images[:100], 8), 20))
    noise = [ours.noise(8) for _ in batches]
    games, make = [], recipes.Recipe.game
    monkeypatch.setattr(recipes.Recipe, "game", lambda self, **words: games.append(make(self, **words)) or games[-1])
    monkeypatch.setattr(torch.utils.data, "DataLoader", lambda *_, **__: [(real, None) for real in batches])
    drawn = iter([z for z in noise for _ in range(1 if tidy else 2)])
    monkeypatch.setattr(torch, "randn", lambda *_, **__: next(drawn))
    d_losses = [d_loss.item() for d_loss, _ in itertools.islice(bench.usual_loop(TINY, tidy=tidy), 20)]
    for real, z, expected in zip(batches, noise, d_losses, strict=True):
        fake = ours.generator(z)
        d_loss, *_ = training.discriminator_step(ours, real, fake)
        training.generator_step(ours, real, fake)
        assert d_loss.item() == pytest.approx(expected, abs=1e-5)
    for name in ("generator", "discriminator"):
        for a, b in zip(getattr(ours, name).parameters(), getattr(games[-1], name).parameters(), strict=True):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_race_times_both_loops_in_turns_and_the_machine_beside_them(monkeypatch):
    monkeypatch.setattr(hardware, "fast_dtype", lambda _: torch.bfloat16)
    turns, now = [], [0.0]

    def played(who, seconds):
        turns.append(who)
        now[0] += seconds

    def usual_loop(recipe, device, tidy):
        for _ in itertools.count():
            played(tidy, 1.0 if tidy else 2.0)
            yield torch.zeros(()), torch.zeros(())

    monkeypatch.setattr(bench, "usual_loop", usual_loop)
    monkeypatch.setattr(bench, "products_a_second", lambda dtype, device: played(dtype, 100.0) or 2e9)
    monkeypatch.setattr(training, "train", lambda game, images, n: [played(game.dtype, 0.5) for _ in range(n)])
    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])
    found = bench.race(TINY, 2, rounds=3)
    dtypes = [torch.float32, torch.bfloat16]
    a_round = [who for who in (False, True, *dtypes) for _ in range(2)] + dtypes  # two steps each, then the rates
    assert turns == 4 * a_round  # one round more than is kept
    assert found.pop("rates") == {"float32": [2.0] * 3, "bfloat16": [2.0] * 3}
    assert found.pop("a_step") == bench.products_a_step(TINY) / 1e9
    epoch = 60_000 // 8
    assert found == {
        "usual": [2.0 * epoch] * 3,
        "tidy": [1.0 * epoch] * 3,
        "float32": [0.5 * epoch] * 3,
        "bfloat16": [0.5 * epoch] * 3,
    }


def test_the_products_of_a_step_are_those_on_paper():
    """Each layer [a → b] takes N·a·b forward, as many for its weights' gradient, and as many to hand the gradient down."""
    n, g, d = 8, [5 * 6, 6 * 6, 6 * 784], [784 * 6, 6 * 6, 6 * 1]
    discriminator_step = sum(g) + 2 * sum(d) + 2 * sum(d) + 2 * sum(d[1:])  # images need no gradient
    generator_step = sum(d) + sum(d) + sum(g) + sum(g[1:])  # D's weights need none, and z needs none
    assert bench.products_a_step(TINY) == n * (discriminator_step + generator_step)


def test_the_rate_of_products_is_that_of_one_product_timed(monkeypatch):
    now = itertools.count(0, 2)
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(now))
    assert bench.products_a_second(torch.float32, n=16, times=10) == 10 * 16**3 / 2


def test_p_is_that_of_welchs_test_on_logarithms():
    low, high = [2.0, 2.2, 1.9, 2.1], [4.0, 4.4, 3.9]
    a, b = ([math.log(x) for x in pile] for pile in (low, high))
    t = (sum(a) / 4 - sum(b) / 3) / math.sqrt(stats.tvar(a) / 4 + stats.tvar(b) / 3)
    freedom = (stats.tvar(a) / 4 + stats.tvar(b) / 3) ** 2 / (
        (stats.tvar(a) / 4) ** 2 / 3 + (stats.tvar(b) / 3) ** 2 / 2
    )
    assert bench.p_lower(low, high) == pytest.approx(stats.t.cdf(t, freedom))
    assert bench.p_lower(low, high) < 0.01 < 0.5 < bench.p_lower(high, low)


@pytest.fixture
def found(monkeypatch):
    """A bench on a machine where everything is known."""
    goal = [[60_000, [20.0, 22.0, 21.0]], [120_000, [5.0, 5.2, 4.8]]]
    monkeypatch.setattr(reference, "results", lambda: {"classic": goal})
    race = {
        "usual": [6.0, 6.0, 12.0],
        "tidy": [4.0, 5.0, 6.0],
        "float32": [3.0] * 3,
        "bfloat16": [1.5, 2.0, 2.0],
        "a_step": 0.2,
    }
    race["rates"] = {"float32": [50.0] * 3, "bfloat16": [100.0] * 3}
    courses = {
        f"course of seed {k}": [[1000, 4.0 + k, 9.0 + k], [2000, 8.0 + k, 4.0 + k / 10], [3000, 12.0 + k, 3.0 + k / 10]]
        for k in (0, 1)
    }
    memory = {"memory of torch": 200e6, "memory of mlp": 300e6, "memory of dcgan": 500e6}
    return {"mlp": race, "dcgan": race, **courses, **memory, "imports": [-0.1, 0.2, 0.3]}


def test_quality_is_reached_at_the_first_moment_that_is_surely_as_good(found):
    step, seconds, usual_seconds = bench.time_to_quality(found)
    assert (step, seconds, usual_seconds) == (2000, (8.0, 9.0), 200 * 6.0)
    for name in ("course of seed 0", "course of seed 1"):
        found[name] = found[name][:1]
    assert bench.time_to_quality(found) is None


def test_the_table_says_ratios_of_rounds_and_shares(found):
    lines = bench.table(found).splitlines()
    for line in (
        "| `mlp`, an epoch by the usual loop | 6 s | 6 to 12 |",
        "| — by a tidy one, with one batch of fakes, detached | 5 s | 4 to 6 |",
        "| — faster than the tidy one | 1.67 × | 1.33 to 2 |",
        "| `mlp`, an epoch by ours, in float32 | 3 s | 3 to 3 |",
        "| — faster than the usual loop | 2 × | 2 to 4 |",
        "| — of this machine's multiply-accumulates per second in float32 | 80 % | 80 to 80 |",
        "| — faster than the usual loop | 4 × | 3 to 6 |",
        "| — of this machine's multiply-accumulates per second in bfloat16 | 60 % | 60 to 80 |",
        "| `mlp-quick`, to the Fréchet distance of `mlp` after 200 epochs: iteration 2000 | 8.5 s | 8 to 9 |",
        "| — faster than the usual loop's 1,200 s | 142 × | 133 to 150 |",
        "| memory above PyTorch's, each recipe | 200 MB | 100 to 300 |",
        "| `import gan_lib.recipes`, above `import torch` | 0.2 s | 0 to 0.3 |",
    ):
        assert line in lines


def test_memory_and_time_of_a_program_are_its_own():
    base = bench.memory_of("import array")
    more = bench.memory_of("import array; a = array.array('b', bytes(1)) * 100_000_000")
    assert 90e6 < more - base < 110e6
    assert bench.seconds_of("import time; time.sleep(0.3)") > 0.3


def test_a_course_measures_training_alone_and_comes_nearer(monkeypatch):
    quick, look, clock, looks = recipes.get("mlp-quick"), evaluation.features_and_logits, time.perf_counter, []
    monkeypatch.setattr(evaluation, "features_and_logits", lambda images: looks.append(1) or look(images))
    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock() + 1e6 * len(looks))  # a look takes eleven days
    steps, seconds, distances = zip(*bench.course_of(0, quick, (20, 200)), strict=True)
    assert steps == (20, 200)
    assert 0 < seconds[0] < seconds[1]
    assert seconds[1] < 1e6
    assert distances[0] > distances[1] > 5


def test_the_command_writes_every_figure_and_a_picture(found, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "figures", lambda device, seeds: iter(found.items()))
    command_line.main(["bench", "--out", str(tmp_path / "b"), "--device", "cpu"])
    assert json.loads((tmp_path / "b" / "bench.json").read_text()).keys() == found.keys()
    assert (tmp_path / "b" / "bench.png").stat().st_size > 5000
    assert "faster than the usual loop" in capsys.readouterr().out
