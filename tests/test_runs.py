"""A run in a folder: which files it writes, how it continues bit for bit, and how it ends at Ctrl-C."""

import dataclasses
import errno
import signal
import subprocess
import sys
from unittest import mock

import pytest
import safetensors.torch
from PIL import Image

from gan_lib import UserError, checkpoint, data, files, plotting, processes, recipes, runs, training
from tests import load_picture

TINY = recipes.Recipe("tiny", "mlp", latent_dim=5, width=6, batch_size=100, epochs=3)
DECAYING = dataclasses.replace(TINY, anneal=True, epochs=6)  # of 210 images: 12 iterations


@pytest.fixture(autouse=True)
def _few_images(monkeypatch, images):
    """Every data set has 210 images, so that a batch of 100 makes epochs of two steps."""
    many = images.repeat(5, 1, 1)[:210]
    monkeypatch.setattr(data, "load", lambda *_, **__: data.Digits(many, many[:, 0, 0].long()))


@pytest.fixture
def train(tmp_path):
    """`train(name, ...)` is `runs.train` of a tiny recipe into a folder of that name."""

    def call(name, recipe=TINY, **words):
        return runs.train(recipe, tmp_path / name, **{"device": "cpu", "quiet": True} | words)

    return call


@pytest.fixture
def compared(monkeypatch):
    """The names of the reference runs that each run is drawn beside; `tiny` has reference runs, too."""
    names, curves = [], plotting.curves
    monkeypatch.setitem(recipes.RECIPES, "tiny", TINY)
    monkeypatch.setattr(runs.reference, "names", lambda: ["mlp", "tiny"])
    monkeypatch.setattr(runs.reference, "Reference", lambda name: name)
    monkeypatch.setattr(plotting, "curves", lambda records, reference: names.append(reference) or curves(records))
    return names


def spoiled(fault):
    """Within `spoiled(fault)` a run gets its records from `fault(game, records)`."""
    learn = training.train
    return mock.patch.object(training, "train", lambda game, *words: fault(game, learn(game, *words)))


def steps_in(run):
    return [int(path.stem.removeprefix("step_")) for path in checkpoint.of_run(run.folder)]


def tensors_of(run):
    return safetensors.torch.load_file(checkpoint.latest(run.folder))


def records_of(run):
    """The records in the folder, without the clock."""
    return [record._replace(seconds=0) for record in runs.load_records(run.folder / "records.csv")]


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What a run writes


def test_a_run_returns_its_game_and_its_records(train, tmp_path, differences, state_of):
    run = train("run", seed=4, steps=5)
    assert (run.folder, run.game.step, run.game.seed) == (tmp_path / "run", 5, 4)
    assert [record.step for record in run.records] == [2, 4, 5]
    assert run.records == runs.load_records(run.folder / "records.csv")
    last = checkpoint.read(run.folder / "checkpoints" / "step_0000005.safetensors")
    assert differences(state_of(last.game()), state_of(run.game)) == []
    assert last.recipe == TINY
    assert "generator.0.weight" in differences(tensors_of(run), tensors_of(train("other", seed=5, steps=5)))


def test_a_run_writes_samples_of_each_epoch_up_to_ten_checkpoints_and_the_last(train):
    run = train("run", epochs=25)
    assert {path.name for path in (run.folder / "samples").iterdir()} == {f"epoch_{i}.png" for i in range(26)}
    assert steps_in(run) == [0, *range(6, 49, 6), 50]  # every third epoch of two steps
    assert [record.step for record in records_of(run)] == [2 * i for i in range(1, 26)]
    for epoch in (0, 24):  # of the same z
        sampler = checkpoint.resume(run.folder / "checkpoints" / f"step_{2 * epoch:07d}.safetensors").sampler()
        samples = runs.untile(load_picture(run.folder / "samples" / f"epoch_{epoch}.png"))
        assert samples.equal(data.to_uint8(sampler(sampler.noise(100))))
    assert runs.untile(load_picture(run.folder / "real_images.png")).equal(data.load().images[:100])
    height = load_picture(run.folder / "visualization_across_epochs.png").shape[0]
    assert height == pytest.approx(700, abs=20)  # ten rows of 70 pixels
    with Image.open(run.folder / "progress.gif") as gif:
        assert gif.n_frames == 26


def test_only_a_run_of_an_unchanged_recipe_and_length_on_mnist_is_compared(train, compared, monkeypatch):
    run, other = train("run", steps=1), dataclasses.replace(TINY, width=7)
    train("other", other, steps=1)
    assert compared == ["tiny", None]

    def name(recipe=TINY, data="mnist", *planned):
        run.recipe, run.notes = recipe, {"data": data, "planned": planned}
        return run.reference()

    assert name(dataclasses.replace(TINY, epochs=9)) == "tiny"
    assert [name(TINY, "kmnist"), name(dataclasses.replace(TINY, name="unknown"))] == [None, None]
    decaying = dataclasses.replace(DECAYING, epochs=1)  # 600 iterations on MNIST
    monkeypatch.setitem(recipes.RECIPES, "tiny", decaying)
    assert [name(decaying, "mnist", *planned) for planned in ([2], [600], [2, 600])] == [None, "tiny", None]
    monkeypatch.setattr(runs.reference, "names", lambda: ["mlp"])
    assert name(decaying, "mnist", 600) is None


# Resume, and the planned length


def test_a_resumed_run_equals_one_that_never_stopped(train, differences):
    """It stops in the middle of the second epoch; samples, records and every tensor are the same bit for bit."""
    recipe = dataclasses.replace(TINY, nets="dcgan")
    train("twice", recipe, seed=5, steps=3)
    twice, once = train("twice", recipe, steps=9, resume=True), train("once", recipe, seed=5, steps=9)
    assert differences(tensors_of(once), tensors_of(twice)) == []
    assert [record.step for record in records_of(twice)] == [2, 3, 4, 6, 8, 9]
    shared = [record for record in records_of(twice) if record.step not in (3, 4)]
    assert shared == [record for record in records_of(once) if record.step != 4]
    for name in ("samples/epoch_1.png", "samples/epoch_5.png", "real_images.png", "progress.gif"):
        assert (once.folder / name).read_bytes() == (twice.folder / name).read_bytes()


def test_resume_keeps_seed_and_recipe_and_reads_the_last_checkpoint_once(train, differences, monkeypatch):
    """The recipe stays as it was, even if a later version has another one of that name."""
    once, read, opened = train("once", seed=7, steps=4), checkpoint.read, []
    train("run", seed=7, steps=2)
    monkeypatch.setattr(checkpoint, "read", lambda path: opened.append(path.name) or read(path))
    for steps in (3, 4):
        run = train("run", dataclasses.replace(TINY, width=24, g_lr=1.0), steps=steps, resume=True)
        assert (run.recipe, run.game.seed) == (TINY, 7)
    assert opened == [f"step_{step:07d}.safetensors" for step in (2, 3)]
    assert read(checkpoint.latest(run.folder)).recipe == TINY
    assert differences(tensors_of(run), tensors_of(once)) == []


def test_records_after_the_last_checkpoint_are_replaced(train):
    """As after a power cut between the writing of the records and that of the checkpoint."""
    run = train("run", steps=2)
    with open(run.folder / "records.csv", "a") as file:
        file.write("4,400,1.0,9.0,9.0,0.9,0.9,1.0,0\n")
    records = records_of(train("run", steps=4, resume=True))
    assert [record.step for record in records] == [2, 4]
    assert records[1].d_loss < 9


def test_a_finished_run_can_be_resumed_also_without_its_records(train, compared, monkeypatch, differences):
    """`runs.load_records` advises to move damaged ones away. The run has reference runs, too."""
    run = train("run", steps=2)
    before = tensors_of(run)
    (run.folder / "records.csv").unlink()
    again = train("run", steps=2, resume=True)
    assert (again.records, again.game.step) == ([], 2)
    assert differences(tensors_of(again), before) == []


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"dataset": "kmnist"}, {"recipe": dataclasses.replace(TINY, name="other")}]
)
def test_a_run_is_not_resumed_with_another_seed_data_set_or_recipe(change, train):
    train("run", seed=3, steps=1)
    with pytest.raises(ValueError, match=r"run holds a run of tiny on mnist with seed 3: resume it with these\."):
        train("run", **{"steps": 2, "resume": True} | change)
    assert train("run", seed=3, steps=2, resume=True).game.step == 2


@pytest.mark.parametrize(
    ("words", "length"), [({}, 12), ({"epochs": 2}, 4), ({"steps": 7}, 7), ({"steps": 40}, 40), ({"steps": 1}, 1)]
)
def test_learning_rates_decay_over_the_planned_length_on_the_data_of_the_run(words, length, train):
    run = train("run", DECAYING, **words)
    assert run.steps == run.game.step == run.game.horizon == length
    rate = max(0.01 * DECAYING.g_lr, min(DECAYING.g_lr, DECAYING.g_lr / length / 0.75))
    assert run.game.g_optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    assert train("constant", **words).game.horizon is None


def test_a_killed_run_continues_to_its_planned_end_with_the_same_rates(train, differences):
    whole = train("whole", DECAYING, steps=9)

    def stop_after_five(game, records):
        for record in records:
            yield record
            if record.step > 4:
                raise ConnectionError("gone")

    with spoiled(stop_after_five), pytest.raises(ConnectionError, match="gone"):
        train("run", DECAYING, steps=9)
    run = train("run", DECAYING, resume=True)
    assert (run.game.step, run.game.horizon) == (9, 9)
    assert differences(tensors_of(run), tensors_of(whole)) == []
    longer = train("run", DECAYING, resume=True, epochs=8)
    assert (longer.game.step, longer.game.horizon) == (16, 16)


# Interruptions and failures


def test_the_first_ctrl_c_is_a_request_and_the_second_an_interrupt():
    before = signal.getsignal(signal.SIGINT)
    with processes.interrupts(alone=True):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with processes.interrupts(alone=True) as requests:
        assert not requests
        signal.raise_signal(signal.SIGINT)
        assert requests
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("steps", "stopped"), [(7, 4), (3, 3)], ids=["stops at the next record", "at the last record"])
def test_after_ctrl_c_a_run_stops_at_the_next_record_with_everything_saved(steps, stopped, train, capfd, differences):
    """The signal comes within step 3, whose record is that of step 4, the end of the second epoch."""
    step = training.discriminator_step

    def interrupt_and_step(game, *more):
        if game.step == 2:
            signal.raise_signal(signal.SIGINT)
        return step(game, *more)

    with mock.patch.object(training, "discriminator_step", interrupt_and_step):
        run = train("run", steps=steps)
    assert (run.game.step, run.steps) == (stopped, steps)
    assert capfd.readouterr().err.strip() == "Stopping at the next record ..."
    assert {"epoch_2.png", "curves.png", "progress.mp4"} <= {path.name for path in files_in(run.folder)}
    assert steps_in(run)[-1] == stopped
    assert differences(tensors_of(train("run", resume=True)), tensors_of(train("whole", steps=steps))) == []


HOLD = """import sys, time
from pathlib import Path
from gan_lib import hardware, processes

with processes.lock(Path(sys.argv[1]), hardware.Team()):
    print("held", flush=True)
    time.sleep(600)
"""


def test_two_processes_do_not_train_into_one_folder_and_a_killed_one_blocks_nobody(train, tmp_path):
    train("run", steps=2)
    lock = {tmp_path / "run" / ".lock": b""}  # some versions of filelock delete it when it is released
    before = files_in(tmp_path / "run") | lock
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=r"^Another process is training into .*: wait for it to end, or choose"):
            train("run", resume=True)
        assert files_in(tmp_path / "run") | lock == before
    finally:
        holder.kill()
        holder.communicate()
    assert train("run", resume=True, steps=4).game.step == 4
    refused = NotImplementedError("FileSystem does not appear to support flock")  # one without locks stops nobody
    with mock.patch.object(processes.filelock.FileLock, "acquire", side_effect=refused):
        assert train("other", steps=2).game.step == 2


def diverge(game, records):
    game.discriminator[1].weight.data.fill_(3e38)  # still finite, but its outputs are not
    yield from records


def spoil_the_last_update(game, records):
    yield from records
    game.generator[0].weight.data[0, 0] = float("nan")  # no loss has seen it


@pytest.mark.parametrize(
    ("fault", "message"),
    [(diverge, "step 4: d_loss nan.*learning rate"), (spoil_the_last_update, "^generator.0.weight is not finite")],
)
def test_a_run_that_diverges_names_the_last_good_checkpoint_and_leaves_it(fault, message, train, tmp_path):
    before = files_in(train("run", steps=2).folder)
    message += r".*step_0000002.safetensors\.$"
    with spoiled(fault), pytest.raises(training.Diverged, match=message) as error:
        train("run", resume=True, steps=4)
    assert "\n" not in str(error.value)
    assert files_in(tmp_path / "run") == before


def test_after_a_full_disk_a_run_continues(train):
    run, full = train("run", steps=2), OSError(errno.ENOSPC, "No space left on device")
    with (
        mock.patch.object(files, "open", side_effect=full, create=True),
        pytest.raises(OSError, match="No space left"),
    ):
        train("run", resume=True, steps=4)
    assert (steps_in(run), [record.step for record in records_of(run)]) == ([0, 2], [2])
    train("run", resume=True, steps=4)
    assert (steps_in(run), [record.step for record in records_of(run)]) == ([0, 2, 4], [2, 4])


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "step,images\n1,2\n", "step,images,seconds,d_loss\n1,2,3,four\n"])
def test_a_foreign_file_of_records_is_refused(text, tmp_path):
    (tmp_path / "records.csv").write_text(text)
    with pytest.raises(UserError, match=r"is not a records\.csv of gan_lib: move it away to go on without it"):
        runs.load_records(tmp_path / "records.csv")
