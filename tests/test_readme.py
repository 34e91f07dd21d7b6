"""What README shows works as written."""

import re
from pathlib import Path

import pytest

from gan_lib import __main__ as command_line
from gan_lib import tables
from tools import make_reference

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_snippet_runs(tmp_path, monkeypatch):
    [snippet] = re.findall(r"```python\n(.*?)```", README, re.S)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(snippet, names)
    assert names["digits"].shape == (100, 1, 28, 28)
    assert names["sampler"].sample(2).shape == (2, 1, 28, 28)
    assert (tmp_path / "digits.png").stat().st_size > 1000


@pytest.mark.parametrize("line", re.findall(r"^python -m gan_lib (.*?)(?:\s+#.*)?$", README, re.M))
def test_the_commands_are_understood(line):
    try:
        options = command_line.build_parser().parse_args(line.split())
    except SystemExit as stop:
        assert stop.code == 0  # --help
    else:
        assert options.do.__name__ == line.split()[0]


def test_pictures_and_links_are_there():
    for target in re.findall(r'\]\((?!http)([^)#]+)\)|src="(?!http)([^"]+)"', README):
        path = Path(__file__).parents[1] / (target[0] or target[1])
        assert path.exists(), path


def test_the_tables_are_those_of_the_reference_runs_and_of_the_bench():
    for name, table in make_reference.build_tables().items():
        assert f"<!-- {name}: written by tools/make_reference.py -->\n{table}\n<!-- /{name} -->" in README
        if name in make_reference.SHOWN:
            assert tables.bundled(name) == table
