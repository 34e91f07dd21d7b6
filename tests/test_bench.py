"""The benchmark measures what it says, and the loop that it compares with trains the same game."""

import itertools
import json
import time
import timeit

import pytest
import torch

from gan_lib import data, evaluation, hardware, recipes, training
from tests import ROOT
from tools import lessons, make_gpu, make_reference
from tools import make_bench as bench

TINY = recipes.Recipe("mlp", "mlp", latent_dim=5, width=6, batch_size=8, betas=(0.9, 0.999))


@pytest.mark.parametrize("tidy", [False, True])
def test_the_usual_loop_trains_our_game_up_to_rounding(tidy, monkeypatch):
    """The same nets with the same batches and the same noise are the same after twenty iterations.

    Our loop and the tidy one generate one batch of fakes for both players; the usual loop gets the same noise twice.
    """
    ours, games, make = TINY.game(), [], recipes.Recipe.game
    ours.dtype = torch.float32
    batches = list(itertools.islice(data.batches(data.load().images[:100], 8), 20))
    noise = [ours.noise(8) for _ in batches]
    monkeypatch.setattr(recipes.Recipe, "game", lambda self, **words: games.append(make(self, **words)) or games[-1])
    monkeypatch.setattr(torch.utils.data, "DataLoader", lambda *_, **__: [(real, None) for real in batches])
    drawn = iter([z for z in noise for _ in range(1 if tidy else 2)])
    monkeypatch.setattr(torch, "randn", lambda *_, **__: next(drawn))
    usual = itertools.islice(bench.usual_loop(TINY, tidy=tidy), 20)
    for real, z, (expected, _) in zip(batches, noise, usual, strict=True):
        fake = ours.generator(z)
        d_loss, *_ = training.discriminator_step(ours, real, fake)
        training.generator_step(ours, real, fake)
        assert d_loss.item() == pytest.approx(expected.item(), abs=1e-5)
    for name in ("generator", "discriminator"):
        for a, b in zip(getattr(ours, name).parameters(), getattr(games[-1], name).parameters(), strict=True):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_race_times_all_loops_and_the_machine_in_turns(monkeypatch):
    turns, now = [], [0.0]

    def take(who, seconds, result=None):
        turns.append(who)
        now[0] += seconds
        return result

    def usual_loop(recipe, device, tidy):
        while True:
            yield take(tidy, 1.0 if tidy else 2.0, (torch.zeros(()), torch.zeros(())))

    monkeypatch.setattr(hardware, "fast_dtype", lambda _: torch.bfloat16)
    monkeypatch.setattr(bench, "usual_loop", usual_loop)
    monkeypatch.setattr(bench, "measure_macs", lambda dtype, device: take(dtype, 100.0, 2e9))
    monkeypatch.setattr(training, "train", lambda game, images, n: [take(game.dtype, 0.5) for _ in range(n)])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    found = bench.race(TINY, 2, rounds=3)
    dtypes = [torch.float32, torch.bfloat16]
    a_round = [who for who in (False, True, *dtypes) for _ in range(2)] + dtypes  # two iterations each, then the MAC/s
    assert turns == 4 * a_round  # one round more than is kept
    seconds = {"usual": 2.0, "tidy": 1.0, "float32": 0.5, "bfloat16": 0.5}
    assert found == {key: [each * (60_000 // 8)] * 3 for key, each in seconds.items()} | {
        "rates": {"float32": [2.0] * 3, "bfloat16": [2.0] * 3},
        "a_step": bench.count_macs(TINY) / 1e9,
    }


def test_the_macs_of_an_iteration_are_those_on_paper():
    """A layer [a → b] takes N·a·b forward, as many for the gradient of its weights, and as many for that of its input."""
    n, g, d = 8, [5 * 6, 6 * 6, 6 * 784], [784 * 6, 6 * 6, 6 * 1]
    discriminator_step = sum(g) + 2 * sum(d) + 2 * sum(d) + 2 * sum(d[1:])  # images need no gradient
    generator_step = sum(d) + sum(d) + sum(g) + sum(g[1:])  # D's weights and z need none
    assert bench.count_macs(TINY) == n * (discriminator_step + generator_step)


def test_macs_per_second_are_those_of_one_timed_product(monkeypatch):
    monkeypatch.setattr(timeit, "timeit", lambda multiply, number: multiply() or 2)
    assert bench.measure_macs(torch.float32, n=16, times=10) == 10 * 16**3 / 2


@pytest.fixture
def found():
    """The committed figures, whose table `test_ground` compares with docs/results.md."""
    return json.loads((ROOT / "benchmarks" / "results" / "bench.json").read_text())


def test_no_time_to_quality_is_in_the_table_where_no_run_is_significantly_better(found):
    found |= {name: course[:1] for name, course in found.items() if name.startswith("course")}
    assert "to the Fréchet distance of" not in bench.table(found)


def test_memory_and_time_of_a_program_are_its_own():
    base = bench.run_program("import array")
    more = bench.run_program("import array; a = array.array('b', bytes(1)) * 100_000_000")
    assert 90e6 < more - base < 110e6
    assert bench.measure_seconds(lambda: bench.run_program("import time; time.sleep(0.3)")) > 0.3


def test_a_course_measures_training_alone_and_improves(monkeypatch):
    quick, features, clock, measured = recipes.get("mlp-quick"), evaluation.features_and_logits, time.perf_counter, []
    monkeypatch.setattr(evaluation, "features_and_logits", lambda images: measured.append(1) or features(images))
    later = lambda: clock() + 1e6 * len(measured)  # a measurement takes eleven days
    monkeypatch.setattr(time, "perf_counter", later)
    (step, seconds, distance), (end, more, less) = bench.measure_course(0, quick, (20, 200))
    assert (step, end) == (20, 200)
    assert 0 < seconds < more < 1e6
    assert distance > less > 5


def test_the_command_writes_every_figure_and_a_picture(found, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "measure_all", lambda device, seeds: iter(found.items()))
    monkeypatch.setattr("sys.argv", ["make_bench.py", "--out", str(tmp_path / "b"), "--device", "cpu"])
    bench.main()
    assert (tmp_path / "b" / "bench.md").read_text() == bench.table(found) + "\n"
    assert json.loads((tmp_path / "b" / "bench.json").read_text()).keys() == found.keys()
    assert (tmp_path / "b" / "bench.png").stat().st_size > 5000
    assert "faster than the usual loop" in capsys.readouterr().out


def test_a_gpu_that_cannot_be_used_is_one_sentence(monkeypatch):
    monkeypatch.setattr("sys.argv", ["make_gpu.py"])
    monkeypatch.setattr(hardware, "works", lambda device: False)
    gpu = {"is_available": False, "get_device_name": "Tesla P100", "get_device_capability": (6, 0)}
    for name, value in (*gpu.items(), ("is_available", True)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
        if not torch.cuda.is_available():
            with pytest.raises(SystemExit, match=r"^This machine has no GPU that .* can use; on Colab choose .*\.$"):
                make_gpu.main()
    assert "can't compute on Tesla P100, a GPU of compute capability 6.0: take another" in make_gpu.find_fault()
    assert make_gpu.explain(torch.OutOfMemoryError("CUDA out of memory.\nMore.")).endswith("(CUDA out of memory.)")
    assert make_gpu.explain(RuntimeError("CUDA error: device lost")).startswith("The GPU failed, or is gone: restart")


def test_what_a_gpu_measures_is_written_and_shown(monkeypatch, tmp_path):
    """On a CPU, with a tiny recipe, and lessons that don't run: the second one takes too long, and is left for another call."""
    race, score, now = make_gpu.race, make_gpu.score, itertools.count(0, 100)
    for name, value in {
        "OUT": tmp_path / "gpu.json", "find_fault": lambda: None, "test": lambda: "30 passed", "LEAST": 60,
        "race": lambda name, steps: race("mlp-quick", 10, "cpu", 2), "score": lambda: score("cpu", 1),
    }.items():  # fmt: skip
        monkeypatch.setattr(make_gpu, name, value)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")
    monkeypatch.setattr(lessons, "execute", lambda path, root, timeout: lessons.Result(path, path, path, 12.3))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    monkeypatch.setattr("sys.argv", ["make_gpu.py", "--minutes", "5"])
    monkeypatch.setattr(make_reference, "GPU", make_gpu.OUT)
    assert make_reference.gpu_table() == ""
    make_gpu.main()
    found = json.loads(make_gpu.OUT.read_text())
    assert found["lessons"] == {"02": 12.3, "03": 12.3}
    assert [len(found["mlp"][key]) for key in ("graphs", "operations", "usual")] == [2, 2, 2]
    found["mlp"] |= {"graphs": [0.1, 0.2, 0.3], "operations": [1.0, 1.0], "usual": [20.0], "megabytes": 60.4}
    make_gpu.OUT.write_text(json.dumps(found | {"score": [0.5]}))
    table = make_reference.gpu_table()
    assert table.startswith("### On a GPU\n\nOn one H100, with PyTorch ")
    assert "takes 0.5 s. Seconds of the lessons: 02: 12, 03: 12.\n" in table
    assert "| `mlp` | 0.20 ms | 5.0 × | 100.0 × | 24 s | 60 MB |" in table
