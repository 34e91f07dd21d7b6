"""With the widgets and the kernel of Colab, all tests of widgets pass, and the messages of a front end move the widgets."""

import json
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from jupyter_client.manager import KernelManager

from gan_lib.widgets import colab as colab_widgets
from tests import colab
from tests.browser.lab import until
from tests.notebooks import execution
from tools import links

# IPython 7 puts a package `tests` of its own on the path; ours must be found first. The versions are those of this very run.
PYTEST = """import sys, tests, IPython, ipywidgets, pytest
print(ipywidgets.__version__, IPython.__version__)
sys.exit(pytest.main(sys.argv[1:]))"""


@pytest.fixture(scope="module")
def environment():
    colab.install()
    return colab.environment()


def test_every_test_of_widgets_passes_there(environment):
    words = [sys.executable, "-c", PYTEST, "-q", "-p", "no:cacheprovider", "-p", "no:nbval", "tests/widgets"]
    run = subprocess.run(words, cwd=colab.ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert run.stdout.split("\n")[0] == "7.7.1 7.34.0", run.stdout + run.stderr
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(re.search(r"(\d+) passed in", run.stdout)[1]) >= 40
    assert "skipped" not in run.stdout


class Front:
    """A front end without a screen: it sends what a browser would send, and keeps the values that it would show."""

    def __init__(self, client):
        self.client, self.values = client, {}  # {comm id: {trait: value}}

    def read(self):
        """The next message; values of widgets in it are kept."""
        message = self.client.get_iopub_msg(timeout=60)
        content = message["content"]
        if message["msg_type"] in ("comm_open", "comm_msg") and "state" in content["data"]:
            self.values.setdefault(content["comm_id"], {}).update(content["data"]["state"])
        assert message["msg_type"] != "error", "\n".join(content["traceback"])
        return message

    def answer(self, request):
        """What the kernel prints until it has answered a request."""
        printed, state = "", None
        while state != "idle":
            message = self.read()
            if message["parent_header"].get("msg_id") == request:
                state = message["content"].get("execution_state")
                printed += message["content"].get("text", "")
        return printed

    def run(self, code):
        # by default an error makes the kernel drop what is sent within the next 0.1 s
        return self.answer(self.client.execute(code, stop_on_error=False))

    def evaluate(self, expression):
        """The value of an expression in the kernel, as JSON."""
        return json.loads(self.run(f"import json; print(json.dumps({expression}))"))

    def comm(self, widget, **data):
        content = {"comm_id": self.evaluate(f"{widget}.comm.comm_id"), "data": data}
        message = self.client.session.msg("comm_msg", content)
        self.client.shell_channel.send(message)
        self.answer(message["header"]["msg_id"])

    def move(self, widget, value):
        self.comm(widget, method="update", state={"value": value}, buffer_paths=[])

    def click(self, widget):
        self.comm(widget, method="custom", content={"event": "click"})

    def shown(self, widget):
        """The value of a widget in the front end."""
        return self.values[self.evaluate(f"{widget}.comm.comm_id")]["value"]


@pytest.fixture(scope="module")
def front(environment, tmp_path_factory):
    """A front end of a kernel of Colab's version, in which there are the game and the images of a tiny training run."""
    manager = KernelManager()
    hidden = execution.environment(tmp_path_factory.mktemp("kernel"))
    manager.start_kernel(env=hidden | {"PYTHONPATH": environment["PYTHONPATH"]})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        front = Front(client)
        front.run(
            "import gan_lib, ipykernel, ipywidgets, IPython, torch, traitlets\n"
            "from gan_lib import training, widgets\n"
            "from gan_lib.recipes import Recipe\n"
            "game = Recipe('tiny', 'mlp', latent_dim=5, width=6, batch_size=8).game()\n"
            "images = torch.randint(0, 256, (48, 28, 28), dtype=torch.uint8)"
        )
        yield front
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_kernel_is_colabs(front):
    versions = front.evaluate("[each.__version__ for each in (ipykernel, ipywidgets, IPython, traitlets)]")
    assert versions == ["6.17.1", "7.7.1", "7.34.0", "5.7.1"]
    assert front.evaluate("gan_lib.__file__") == str(colab.ROOT / "gan_lib" / "__init__.py")


def test_a_slider_moved_by_a_message_changes_the_picture(front):
    """`tests/widgets` holds which picture that is."""
    front.run("explorer = widgets.explore(game.sampler())\ndisplay(explorer)")
    before = front.shown("explorer.image")
    front.move("explorer.sliders[3]", -4)
    assert front.shown("explorer.image") != before
    assert front.evaluate("[slider.value for slider in explorer.sliders]") == [0, 0, 0, -4, 0]
    assert front.shown("explorer.status") == "seed 0"


def test_the_dashboard_trains_and_pauses(front):
    front.run("show = widgets.live(game, images, n=8)\ndisplay(show)")
    line = front.evaluate("show.line.comm.comm_id")
    front.click("show.button")
    until(lambda: front.read() and front.values[line]["value"].startswith("step 15 ·"))
    front.move("show.rates[1]", 4e-3)  # while it trains
    assert front.evaluate("game.d_optimizer.param_groups[0]['lr']") == pytest.approx(4e-3)
    assert front.evaluate("show.button.description") == "pause"
    front.click("show.button")
    step = front.evaluate("game.step")
    assert front.shown("show.line") == f"paused at step {step}"
    assert front.evaluate("game.step") == step


FAKE = """
import os, sys, types
os.environ["COLAB_RELEASE_TAG"], done = "release", []
files = types.SimpleNamespace(download=lambda path: done.append(f"download {path}"))
drive = types.SimpleNamespace(mount=lambda path: done.append(f"mount {path}"), flush_and_unmount=lambda: done.append("flush"))
sys.modules["google.colab"] = types.SimpleNamespace(files=files, drive=drive)
get_ipython().register_magic_function(lambda line: done.append(f"pip {line}"), magic_name="pip")
"""


@pytest.fixture
def on_colab(front):
    """The front end of a kernel that takes itself for Colab's; `google.colab` and pip only note what they are asked for."""
    front.run(FAKE)
    yield front
    front.run("del os.environ['COLAB_RELEASE_TAG']")


def test_the_first_cell_installs_without_dependencies_and_asks_for_a_gpu(on_colab):
    printed = on_colab.run(links.bootstrap("ada/digits", "optuna"))
    asked = ["pip install -q --no-deps git+https://github.com/ada/digits", "pip install -q optuna"]
    assert on_colab.evaluate("done") == asked
    assert (printed == "") == on_colab.evaluate("torch.cuda.is_available()")
    assert printed == "" or re.fullmatch(r"No GPU is on\. Runtime > Change runtime type > .*\n", printed)
    with pytest.raises(AssertionError, match="does not know its repository: run `make links`"):
        on_colab.run(links.bootstrap("YOUR_NAME/digits"))


def test_files_are_downloaded_by_buttons(on_colab):
    on_colab.run("from gan_lib.widgets import colab\nbuttons = colab.download('runs/mine.html', 'x.safetensors')")
    on_colab.click("buttons[1]")
    assert on_colab.evaluate("done") == ["download x.safetensors"]
    assert on_colab.evaluate("buttons[0].description") == "download mine.html"


def test_elsewhere_nothing_is_downloaded_and_runs_stay_where_they_are():
    assert colab_widgets.download("runs/mine.html") == []
    with colab_widgets.drive() as folder:
        assert folder == Path("runs")


def test_a_run_in_the_drive_goes_on_after_a_disconnect_and_is_flushed(on_colab, tmp_path):
    train = (
        "from pathlib import Path\nfrom gan_lib import runs\nfrom gan_lib.widgets import colab\n"
        f"colab.MOUNTED = Path({str(tmp_path)!r})\n"
        "recipe = Recipe('tiny', 'mlp', latent_dim=5, width=6, batch_size=8)\n"
        "with colab.drive('mine') as folder:\n"
        "    run = runs.train(recipe, folder / 'tiny', steps={}, resume=None, quiet=True)\n"
    )
    for steps in (3, 5):  # the second time there is a run
        on_colab.run(train.format(steps))
        assert on_colab.evaluate("run.game.step") == steps
    kept = tmp_path / "MyDrive" / "mine" / "tiny" / "checkpoints"
    assert sorted(path.name for path in kept.iterdir())[-1] == "step_0000005.safetensors"
    assert on_colab.evaluate("done") == [f"mount {tmp_path}", "flush"] * 2


def test_an_unfinished_installation_or_one_of_another_list_is_started_again(tmp_path, monkeypatch):
    pins, folder = tmp_path / "pins.txt", tmp_path / "folder"
    pip = mock.Mock(side_effect=lambda command, **_: folder.mkdir() or subprocess.CompletedProcess(command, 0))
    monkeypatch.setattr(subprocess, "run", pip)
    folder.mkdir()
    (folder / "half").touch()  # it was interrupted here
    for text, calls in (("a==1\n", 1), ("a==1\n", 1), ("a==2\n", 2)):
        pins.write_text(text)
        colab.install(pins, folder)
        assert pip.call_count == calls and not (folder / "half").exists()


def test_an_installation_that_fails_says_so_in_one_sentence_every_time(tmp_path):
    pins, folder = tmp_path / "pins.txt", tmp_path / "folder"
    pins.write_text(f"{(tmp_path / 'nothing.whl').as_posix()}\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"not be installed from pins.txt.*`make test` again.*nothing\.whl"):
            colab.install(pins, folder)
