"""A run in a folder: what it keeps, how it goes on bit for bit, and how it ends at Ctrl-C."""

import dataclasses
import shlex
import signal
import subprocess
import sys

import pytest
import safetensors.torch
from PIL import Image

from gan_lib import checkpoint, data, pictures, plotting, recipes, reference, runs, training

TINY = recipes.Recipe("tiny", "mlp", latent_dim=5, width=6, batch_size=100, epochs=3)


@pytest.fixture(autouse=True)
def _few_images(monkeypatch, images):
    """Every data set has 210 images, of which a batch of 100 makes epochs of two steps."""
    many = images.repeat(5, 1, 1)[:210]
    monkeypatch.setattr(data, "load", lambda *_, **__: data.Digits(many, many[:, 0, 0].long()))


@pytest.fixture
def train(tmp_path):
    """`train(name, ...)` is `runs.train` of a tiny recipe into a folder of that name."""

    def call(name, recipe=TINY, **words):
        return runs.train(recipe, tmp_path / name, **{"device": "cpu", "quiet": True} | words)

    return call


def steps_in(run):
    return sorted(checkpoint.header(path)["step"] for path in (run.folder / "checkpoints").iterdir())


def tensors_of(run):
    return safetensors.torch.load_file(checkpoint.latest(run.folder))


def records_of(run):
    """What the run wrote down, but for the clock."""
    return [record._replace(seconds=0) for record in checkpoint.load_records(run.folder / "records.csv")]


def test_a_run_comes_back_with_its_game_its_records_and_its_last_checkpoint(train, tmp_path, differences, state_of):
    run = train("run", seed=4, steps=5)
    assert (run.folder, run.game.step, run.game.seed) == (tmp_path / "run", 5, 4)
    assert [record.step for record in run.records] == [2, 4, 5]
    assert run.records == checkpoint.load_records(run.folder / "records.csv")
    assert run.saved == run.folder / "checkpoints" / "step_0000005.safetensors"
    assert differences(state_of(checkpoint.resume(run.saved)), state_of(run.game)) == []
    assert checkpoint.header(run.saved)["notes"]["recipe"]["name"] == "tiny"


@pytest.mark.parametrize(("words", "step"), [({}, 6), ({"epochs": 2}, 4), ({"steps": 3}, 3)])
def test_a_run_is_as_long_as_told_or_as_its_recipe_says(words, step, train):
    assert train("run", **words).game.step == step


def test_a_run_has_its_samples_each_epoch_and_up_to_ten_checkpoints_and_the_last(train):
    run = train("run", epochs=25)
    assert {path.name for path in (run.folder / "samples").iterdir()} == {f"epoch_{i}.png" for i in range(26)}
    assert steps_in(run) == [0, *range(6, 49, 6), 50]  # every third epoch of two steps
    assert [record.step for record in records_of(run)] == [2 * i for i in range(1, 26)]
    height = pictures.load_picture(run.folder / "visualization_across_epochs.png").shape[0]
    assert height == pytest.approx(700, abs=20)  # ten rows of 70 pixels
    with Image.open(run.folder / "progress.gif") as gif:
        assert gif.n_frames == 26


def test_the_samples_of_all_epochs_are_of_the_same_z(train):
    run = train("run", steps=2)
    for epoch, step in ((0, 0), (1, 2)):
        sampler = checkpoint.resume(run.folder / "checkpoints" / f"step_{step:07d}.safetensors").sampler()
        samples = pictures.untile(pictures.load_picture(run.folder / "samples" / f"epoch_{epoch}.png"))
        assert samples.equal(data.to_uint8(sampler(sampler.noise(100))))


def test_a_resumed_run_equals_one_that_never_stopped(train, differences):
    """Broken off in the middle of the second epoch; samples, records and every tensor are the same bit for bit."""
    recipe = dataclasses.replace(TINY, nets="dcgan")
    train("twice", recipe, seed=5, steps=3)
    twice, once = train("twice", recipe, steps=9, resume=True), train("once", recipe, seed=5, steps=9)
    assert differences(tensors_of(once), tensors_of(twice)) == []
    assert [record.step for record in records_of(twice)] == [2, 3, 4, 6, 8, 9]
    assert [record for record in records_of(twice) if record.step not in (3, 4)] == [
        record for record in records_of(once) if record.step != 4
    ]
    for name in ("samples/epoch_1.png", "samples/epoch_5.png", "real_images.png", "progress.gif"):
        assert (once.folder / name).read_bytes() == (twice.folder / name).read_bytes()


def test_a_resumed_run_keeps_its_seed_and_its_recipe(train, differences):
    """Even where a later version of the package calls another recipe by that name."""
    once = train("once", seed=7, steps=4)
    train("run", seed=7, steps=2)
    other = dataclasses.replace(TINY, width=24, g_lr=1.0)
    for steps in (3, 4):
        run = train("run", other, steps=steps, resume=True)
        assert (run.recipe, run.game.seed) == (TINY, 7)
    notes = checkpoint.header(checkpoint.latest(run.folder))["notes"]
    assert (notes["recipe"]["width"], notes["recipe"]["g_lr"]) == (6, TINY.g_lr)
    assert differences(tensors_of(run), tensors_of(once)) == []


def test_records_of_steps_that_no_checkpoint_holds_are_played_again_and_written_once(train):
    """As after a power cut between the records and the checkpoint."""
    run = train("run", steps=2)
    with open(run.folder / "records.csv", "a") as file:
        file.write("4,400,1.0,9.0,9.0,0.9,0.9,1.0,0\n")
    records = records_of(train("run", steps=4, resume=True))
    assert [record.step for record in records] == [2, 4]
    assert records[1].d_loss < 9


def test_a_finished_run_whose_records_were_moved_away_is_resumed_without_them(train, monkeypatch):
    """As `checkpoint.load_records` advises, where they are damaged; beside a reference, too."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", TINY)
    monkeypatch.setattr(reference, "names", lambda: ["tiny"])
    monkeypatch.setattr(reference, "band", lambda *_: reference.Band([1, 2], [0.0, 0.0], [1.0, 1.0]))
    run = train("run", steps=2)
    (run.folder / "records.csv").unlink()
    assert train("run", steps=2, resume=True).records == []


def test_another_seed_is_another_run(train, differences):
    one, other = (tensors_of(train(f"run{seed}", seed=seed, steps=1)) for seed in (1, 2))
    assert "generator.0.weight" in differences(one, other)


def test_only_a_run_of_a_recipe_as_it_is_and_on_mnist_is_drawn_beside_its_reference(train, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tiny", TINY)
    monkeypatch.setattr(reference, "names", lambda: ["mlp", "tiny"])
    beside, curves = [], plotting.curves
    monkeypatch.setattr(plotting, "curves", lambda records, reference: beside.append(reference) or curves(records))
    train("as it is", steps=1, seed=2)
    train("on others", steps=1, dataset="kmnist")
    train("variant", dataclasses.replace(TINY, width=7), steps=1)
    train("unknown", dataclasses.replace(TINY, name="unknown"), steps=1)
    monkeypatch.setattr(reference, "names", lambda: ["mlp"])
    train("without", steps=1)
    assert beside == ["tiny", None, None, None, None]


# Ctrl-C


def test_the_first_ctrl_c_asks_and_the_second_insists():
    before = signal.getsignal(signal.SIGINT)
    with runs.interrupts() as asked:
        assert not asked
        signal.raise_signal(signal.SIGINT)
        assert asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_afterwards_ctrl_c_means_what_it_did_even_if_it_never_came_or_the_run_failed():
    before = signal.getsignal(signal.SIGINT)
    with runs.interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ValueError, match="failed"), runs.interrupts():
        raise ValueError("failed")
    assert signal.getsignal(signal.SIGINT) is before


def test_after_ctrl_c_a_run_stops_at_the_next_record_with_all_saved_and_says_how_to_go_on(
    train, tmp_path, monkeypatch, capsys, differences
):
    """The signal comes within step 3, of which the record is that of step 4, the end of the second epoch."""
    before, play = signal.getsignal(signal.SIGINT), training.discriminator_step

    def play_and_interrupt(game, *more):
        if game.step == 2:
            signal.raise_signal(signal.SIGINT)
        return play(game, *more)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(training, "discriminator_step", play_and_interrupt)
        with pytest.raises(SystemExit) as ended:
            train("a run", steps=7)
    assert ended.value.code == 130
    assert signal.getsignal(signal.SIGINT) is before
    told, command = capsys.readouterr().err.splitlines()
    assert told == f"Stopped after step 4 of 7; everything is in {tmp_path / 'a run'}. To go on:"
    words = ["python", "-m", "gan_lib", "train", "tiny", "--steps", "7", "--data", "mnist"]
    assert shlex.split(command) == [*words, "--out", str(tmp_path / "a run"), "--device", "cpu", "--resume"]
    for name in ("samples/epoch_2.png", "curves.png", "visualization_across_epochs.png", "progress.mp4"):
        assert (tmp_path / "a run" / name).stat().st_size > 100
    assert checkpoint.resume(checkpoint.latest(tmp_path / "a run")).step == 4
    assert differences(tensors_of(train("a run", steps=7, resume=True)), tensors_of(train("once", steps=7))) == []


def test_a_ctrl_c_at_the_last_record_changes_nothing(train, monkeypatch):
    play = training.generator_step

    def play_and_interrupt(game, *more):
        if game.step == 2:
            signal.raise_signal(signal.SIGINT)
        return play(game, *more)

    monkeypatch.setattr(training, "generator_step", play_and_interrupt)
    assert train("run", steps=3).game.step == 3


# What is refused


def test_a_run_is_not_resumed_as_another(train):
    train("run", seed=3, steps=1)
    for change, sentence in (
        ({"seed": 4}, "holds a run of seed 3, not 4: leave out --seed"),
        ({"dataset": "kmnist"}, "holds a run of tiny on mnist: resume it as that"),
        ({"recipe": dataclasses.replace(TINY, name="other")}, "holds a run of tiny on mnist: resume it as that"),
    ):
        with pytest.raises(ValueError, match=sentence):
            train("run", **{"steps": 2, "resume": True} | change)
    assert train("run", seed=3, steps=2, resume=True).game.step == 2


# Learning rates that fall, over the length that is really planned


ANNEALED = dataclasses.replace(TINY, anneal=True, epochs=6)  # of 210 images: 12 iterations


@pytest.mark.parametrize(("words", "horizon"), [({}, 12), ({"epochs": 2}, 4), ({"steps": 7}, 7), ({"steps": 40}, 40)])
def test_the_horizon_is_the_length_of_the_run_on_the_data_it_has(words, horizon, train):
    run = train("run", ANNEALED, **words)
    assert run.game.step == run.game.horizon == horizon
    lowest = 0.01 * ANNEALED.g_lr
    assert run.game.g_optimizer.param_groups[0]["lr"] == pytest.approx(max(lowest, ANNEALED.g_lr / horizon / 0.75))


def test_a_run_of_steps_that_stops_goes_on_to_the_planned_end_with_the_same_rates(train, differences, monkeypatch):
    whole = train("whole", ANNEALED, steps=9)
    learn = training.train

    def until_five(game, *words):  # as if it were killed after step 5
        for record in learn(game, *words):
            yield record
            if record.step > 4:
                raise ConnectionError("gone")

    monkeypatch.setattr(training, "train", until_five)
    with pytest.raises(ConnectionError, match="gone"):
        train("run", ANNEALED, steps=9)
    monkeypatch.setattr(training, "train", learn)
    run = train("run", ANNEALED, resume=True)
    assert (run.game.step, run.game.horizon) == (9, 9)
    assert differences(tensors_of(run), tensors_of(whole)) == []
    longer = train("run", ANNEALED, resume=True, epochs=8)
    assert (longer.game.step, longer.game.horizon) == (16, 16)


def test_an_annealed_run_of_another_length_is_not_held_to_the_band(train, monkeypatch):
    mnist = dataclasses.replace(ANNEALED, batch_size=100, epochs=1)  # the reference: 600 iterations
    monkeypatch.setitem(recipes.RECIPES, "tiny", mnist)
    monkeypatch.setattr(reference, "names", lambda: ["tiny"])
    beside, curves = [], plotting.curves
    monkeypatch.setattr(plotting, "curves", lambda records, reference: beside.append(reference) or curves(records))
    train("short", mnist, steps=2)
    train("whole", mnist, steps=600)
    assert beside == [None, "tiny"]


# One process for a folder


HOLD = """import sys, time
from pathlib import Path
from gan_lib import parallel, runs

with runs.lock(Path(sys.argv[1]), parallel.Team()):
    print("held", flush=True)
    time.sleep(600)
"""


def test_two_processes_do_not_train_into_one_folder_and_a_killed_one_blocks_nobody(train, tmp_path):
    train("run", steps=2)
    there = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=r"^Another process is training into .*: wait for it to end, or choose"):
            train("run", resume=True)
        assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == there
    finally:
        holder.kill()
        holder.communicate()
    assert train("run", resume=True, steps=4).game.step == 4


def test_a_file_system_without_locks_does_not_stop_a_run(train, monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(runs.filelock.FileLock, "acquire", refuse)
    assert train("run", steps=2).game.step == 2


def test_a_state_that_is_not_finite_leaves_the_last_good_checkpoint(train, monkeypatch):
    run, learn = train("run", steps=2), training.train

    def spoil(game, *words):
        yield from learn(game, *words)
        game.generator[0].weight.data[0, 0] = float("nan")  # by the very last update: no loss has seen it

    monkeypatch.setattr(training, "train", spoil)
    with pytest.raises(training.Diverged, match=r"generator.0.weight is not finite .*step_0000002.safetensors\.$"):
        train("run", resume=True, steps=4)
    assert checkpoint.latest(run.folder) == run.saved
    assert all(value.isfinite().all() for value in tensors_of(run).values())
