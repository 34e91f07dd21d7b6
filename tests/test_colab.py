"""With the widgets and the kernel that Colab has, all tests of widgets pass, and a front end's messages move them."""

import json
import re
import subprocess
import sys
import time

import pytest
from jupyter_client.manager import KernelManager

from tests import colab
from tests.notebooks import execution
from tests.widgets.test_html import decode

TESTS = ["tests/widgets"]
# IPython 7 puts a package `tests` of its own on the path: ours is to be found first. The versions are those of this very run.
PYTEST = """
import sys, tests, IPython, ipywidgets, pytest
print(ipywidgets.__version__, IPython.__version__)
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def environment():
    colab.install()
    return colab.environment()


def test_every_test_of_widgets_passes_there(environment):
    plugins = ["-p", "no:cacheprovider", "-p", "no:nbval"]
    run = subprocess.run(
        [sys.executable, "-c", PYTEST, "-q", *plugins, *TESTS],
        cwd=colab.ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.stdout.split("\n")[0] == "7.7.1 7.34.0", run.stdout + run.stderr
    assert run.returncode == 0, run.stdout + run.stderr
    passed = int(re.search(r"(\d+) passed in", run.stdout)[1])
    assert passed >= 50
    assert "skipped" not in run.stdout


# A kernel


class Front:
    """A front end without a screen: it sends what a browser would, and keeps what it would show."""

    def __init__(self, client):
        self.client, self.values = client, {}  # {comm id: {trait: value}}

    def read(self, timeout=60):
        """The next message; what it says of widgets is kept."""
        message = self.client.get_iopub_msg(timeout=timeout)
        content = message["content"]
        if message["msg_type"] in ("comm_open", "comm_msg") and "state" in content["data"]:
            self.values.setdefault(content["comm_id"], {}).update(content["data"]["state"])
        assert message["msg_type"] != "error", "\n".join(content["traceback"])
        return message

    def answer(self, request):
        """What the kernel prints until it has answered a request."""
        printed = ""
        while True:
            message = self.read()
            if message["parent_header"].get("msg_id") == request:
                if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                    printed += message["content"]["text"]
                if message["content"].get("execution_state") == "idle":
                    return printed

    def run(self, code):
        return self.answer(self.client.execute(code))

    def ask(self, expression):
        """The value of an expression in the kernel, by way of JSON."""
        return json.loads(self.run(f"import json; print(json.dumps({expression}))"))

    def comm(self, widget, data):
        message = self.client.session.msg("comm_msg", {"comm_id": self.ask(f"{widget}.comm.comm_id"), "data": data})
        self.client.shell_channel.send(message)
        self.answer(message["header"]["msg_id"])

    def move(self, widget, value):
        self.comm(widget, {"method": "update", "state": {"value": value}, "buffer_paths": []})

    def click(self, widget):
        self.comm(widget, {"method": "custom", "content": {"event": "click"}})

    def shown(self, widget):
        """The value of a widget, as the front end was told."""
        return self.values[self.ask(f"{widget}.comm.comm_id")]["value"]

    def wait(self, happened, seconds=30):
        """Read messages until `happened()`."""
        end = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < end, "it did not happen"
            self.read(seconds)


@pytest.fixture(scope="module")
def front(environment, tmp_path_factory):
    """A front end of a kernel of Colab's version."""
    manager = KernelManager()
    hidden = execution.environment(tmp_path_factory.mktemp("kernel"))
    manager.start_kernel(env=hidden | {"PYTHONPATH": environment["PYTHONPATH"]})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Front(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_kernel_is_colabs(front):
    front.run("import ipykernel, ipywidgets, IPython, traitlets, gan_lib")
    modules = ("ipykernel", "ipywidgets", "IPython", "traitlets")
    versions = [front.ask(f"{module}.__version__") for module in modules]
    assert versions == ["6.17.1", "7.7.1", "7.34.0", "5.7.1"]
    assert front.ask("gan_lib.__file__") == str(colab.ROOT / "gan_lib" / "__init__.py")


def test_a_slider_moved_by_code_or_by_a_message_changes_the_picture(front):
    front.run(
        "import torch\n"
        "from gan_lib import latent, models, widgets\n"
        "torch.manual_seed(0)\n"
        "generator = models.mlp_generator(5, 32)\n"
        "for parameter in generator.parameters(): parameter.data.mul_(2.5)\n"
        "explorer = widgets.explore(models.Sampler(generator, 5))\n"
        "display(explorer)"
    )
    seen = [front.shown("explorer.image")]
    strengths = [0.0] * 5
    for i, act in enumerate((lambda: front.run("explorer.sliders[0].value = 2.5"),
                             lambda: front.move("explorer.sliders[3]", -4))):  # fmt: skip
        act()
        strengths[3 * i] = (2.5, -4.0)[i]
        arguments = f"explorer.of(0)[0], latent.coordinates(explorer.sampler), {strengths}, explorer.norm.value"
        expected = front.ask(f"latent.render(explorer.sampler, {arguments}).tolist()")
        assert decode(front.shown("explorer.image")).tolist() == expected
        assert front.shown("explorer.image") not in seen
        seen.append(front.shown("explorer.image"))
    assert front.shown("explorer.status") == "seed 0"


def test_the_dashboard_follows_a_run_and_then_plays_it(front):
    front.run(
        "from gan_lib import training, widgets\n"
        "from gan_lib.recipes import Recipe\n"
        "game = Recipe('tiny', 'mlp', latent_dim=5, width=6, batch_size=8).game()\n"
        "images = torch.randint(0, 256, (48, 28, 28), dtype=torch.uint8)\n"
        "show = widgets.live(game, n=8)\n"
        "display(show)\n"
        "for record in training.train(game, images, 4, record_every=2): show.update(record)"
    )
    assert front.shown("show.line").startswith("step 4 ·")
    front.run("show = widgets.live(game, images, n=8)\ndisplay(show)")
    line = front.ask("show.line.comm.comm_id")
    front.click("show.button")
    front.wait(lambda: front.values[line]["value"].startswith("step 15 ·"))
    front.move("show.rates[1]", 4e-3)  # while it plays
    assert front.ask("game.d_optimizer.param_groups[0]['lr']") == pytest.approx(4e-3)
    assert front.ask("show.button.description") == "pause"
    front.click("show.button")
    step = front.ask("game.step")
    assert front.shown("show.line") == f"paused at step {step}"
    front.click("show.d_step")
    assert "D made one step" in front.shown("show.line")
    assert front.ask("game.step") == step


# The installation


def test_an_installation_that_is_unfinished_or_of_another_list_is_begun_anew(tmp_path, monkeypatch):
    pins, folder, calls = tmp_path / "pins.txt", tmp_path / "folder", []

    def pip(command, **_):
        calls.append(command)
        folder.mkdir()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", pip)
    pins.write_text("a==1\n")
    folder.mkdir()
    (folder / "half").touch()  # it was interrupted here
    for text, expected in (("a==1\n", 1), ("a==1\n", 1), ("a==2\n", 2)):
        pins.write_text(text)
        colab.install(pins, folder)
        assert len(calls) == expected
        assert not (folder / "half").exists()


def test_an_installation_that_fails_says_so_in_one_sentence_and_is_not_taken_for_done(tmp_path):
    pins, folder = tmp_path / "pins.txt", tmp_path / "folder"
    pins.write_text(f"{(tmp_path / 'nothing.whl').as_posix()}\n")
    for _ in range(2):
        with pytest.raises(
            RuntimeError, match=r"could not be installed from pins.txt.*`make test` again.*nothing\.whl"
        ):
            colab.install(pins, folder)
