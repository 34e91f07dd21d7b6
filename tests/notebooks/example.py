"""A tiny lesson that keeps every rule and runs in a second. The tests of the tests break it in many ways."""

import base64
import io

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, writes_json
from PIL import Image

from tests.notebooks.contract import REPOSITORY
from tools import links
from tools.lessons import NOTEBOOK_METADATA

NAME = "01_count_the_sheep.ipynb"
FIRST = f"""# 01 · Count the sheep

{links.badges(REPOSITORY, NAME)}

![Two white sheep on a black field](data:image/png;base64,)

**The question:** How many sheep?

- **What you'll do**: count.
- **What you'll learn**: to count.
- **What you need**: ten fingers.
- **Time**: about 3 minutes for you; the cells compute for about 1 second on two CPU cores.
"""
DERIVED = """sheep = [1] * (steps or 7)
checks.double = checks.check(lambda f: [(checks.call(f, 3) != 6, f"double(3) is {f(3)}, not 6")])
checks.flock = checks.check(lambda n: [(n != 7, "a flock is seven sheep")])
print("a machine")"""
CLOSE = """## Answer
Seven. You doubled. You slept.

## On your own
Count goats.

## Further reading
- A. Shepherd, B. Dog 2014, [On counting](https://example.org/counting)

## Next
[Cows](02_count_the_cows.ipynb)"""
WRONG = {
    "double": [("def double(n):\n    return n * n", "is 9"), ("def double(n):\n    return n + 2", "is 5")],
    "flock": [("flock = 6", "seven"), ("flock = [1] * 7", "seven")],
}


def text(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)} if tags else {})


def code(source, *tags, outputs=()):
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {}, outputs=list(outputs))


def stdout(printed):
    return new_output("stream", name="stdout", text=printed)


def result(shown):
    return new_output("execute_result", data={"text/plain": shown})


def png(width=28, height=28):
    """An output with a black picture."""
    content = io.BytesIO()
    Image.new("L", (width, height)).save(content, "png")
    return new_output("display_data", data={"image/png": base64.b64encode(content.getvalue()).decode()})


def fold(summary, body):
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def exercise(name, stub, solution, more=""):
    """The five cells of an exercise."""
    return [
        text(f"### Exercise: {name}\n\n●●○○○ · 3 minutes\n\nDefine `{name}`.{more}", "exercise-text"),
        code(stub, "exercise"),
        code(f"checks.{name}({name})", "check", outputs=[result("Not tried yet: replace the `...`.")]),
        text(fold("Hint", "Fingers."), "hint"),
        text(fold("Solution", f"```python\n{solution}\n```"), "solution"),
    ]


def make():
    """The notebook."""
    cells = [
        text(FIRST),
        code(links.bootstrap(REPOSITORY), "bootstrap"),
        code("import json\n\nfrom gan_lib.checks import check as checks", "imports"),
        code("steps = 0  # 0: enough for this machine\nrate = -0.5  # of falling asleep", "parameters"),
        code(DERIVED, "derived", outputs=[stdout("a machine\n")]),
        text("What is six times seven?", "predict"),
        code("print(6 * 7)", "nbval-check-output", outputs=[stdout("42\n")]),
        text(fold("Answer", "42."), "compare"),
    ]
    for i in range(4):
        cells += [text(f"Now sheep {i}, because it comes next."), code(f"sheep[{i % 3}]", outputs=[result("1")])]
    cells += exercise(
        "double", "def double(n):\n    return ...", "def double(n):\n    return 2 * n", " A **lamb** has two ears."
    )
    cells += exercise("flock", "flock = ...", "flock = 7")
    cells += [text("A picture."), code("None", outputs=[png()]), text(CLOSE)]
    cells += [code("print(json.dumps({'sheep': len(sheep)}))", "outcome", outputs=[stdout('{"sheep": 7}\n')])]
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return new_notebook(cells=cells, metadata=NOTEBOOK_METADATA)


def write(folder, notebook=None, name=NAME):
    """Write the notebook, valid or not, and the next lesson in a repository; return the notebook's path."""
    path = folder / "notebooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(writes_json(notebook or make()) + "\n", encoding="utf-8")
    (path.parent / "02_count_the_cows.ipynb").touch()
    return path
