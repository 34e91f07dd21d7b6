"""The checks of each lesson, and the wrong answers that they must explain, which stand in wrong_answers.txt."""

import importlib
import pkgutil
import re
import textwrap
from pathlib import Path

from gan_lib import checks

TEXT = Path(__file__).with_name("wrong_answers.txt").read_text(encoding="utf-8")


def sections(text, heading):
    """{title: text beneath it} for the lines of a text that begin with `heading`."""
    _, *parts = re.split(rf"^{heading} (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def cases(section):
    """[(code that replaces the stub, a fragment of the reason), …] of one check."""
    shared, *parts = re.split(r"^- (.*)\n", section, flags=re.MULTILINE)
    return [(textwrap.dedent(shared + rest), why) for why, rest in zip(parts[::2], parts[1::2], strict=True)]


def checks_of(lesson):
    """{name: check} of a lesson."""
    module = importlib.import_module(f"gan_lib.checks.{lesson}")
    return {name: value for name, value in vars(module).items() if hasattr(value, "__wrapped__")}


CHECKS = {name: checks_of(name) for _, name, _ in pkgutil.iter_modules(checks.__path__) if name != "check"}
PLANTED = {lesson: sections(text, "##") for lesson, text in sections(TEXT, "#").items()}
WRONG = {check: cases(section) for found in PLANTED.values() for check, section in found.items()}
