"""Draw the structure of gan_lib from its imports, as the Mermaid picture in CONTRIBUTING.md.

    python tools/make_structure.py

An arrow goes from a module to one that it imports. A wing is one box. Arrows that follow from others are left out.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gan_lib"
OPENING, CLOSING = "<!-- structure: written by tools/make_structure.py -->", "<!-- /structure -->"


def read_imports(package=PACKAGE):
    """{module: the modules of ours that it imports}, by their names below gan_lib ("training", "studies.toys")."""
    paths = {path: ".".join(path.relative_to(package).with_suffix("").parts) for path in package.rglob("*.py")}
    names = {name: path for path, name in paths.items() if not name.endswith("__init__")}
    found = {}
    for name, path in names.items():
        imported = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gan_lib":
                start = node.module.removeprefix("gan_lib").removeprefix(".")
                for alias in node.names:
                    inner = f"{start}.{alias.name}".removeprefix(".")
                    imported |= {inner, start} & names.keys()
                    imported |= {f"{inner}.{own}" for own in exports(package / inner)}  # a wing, by its __init__
        found[name] = imported - {name}
    return found


def exports(folder):
    """The modules of a wing that its __init__ imports."""
    init = folder / "__init__.py"
    if not init.exists():
        return set()
    nodes = [node for node in ast.parse(init.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {node.module.rsplit(".", 1)[-1] for node in nodes}


def group(imports):
    """The same with one box for each wing."""
    boxes = {}
    for name, imported in imports.items():
        box = name.split(".")[0]
        boxes.setdefault(box, set()).update(each.split(".")[0] for each in imported)
    return {box: imported - {box} for box, imported in boxes.items()}


def reduce(boxes):
    """The arrows that do not follow from others: the transitive reduction."""

    def reachable(start):
        return set().union(*({each} | reachable(each) for each in boxes[start]), set())

    return {
        box: {each for each in imported if not any(each in reachable(other) for other in imported - {each})}
        for box, imported in boxes.items()
    }


def draw(package=PACKAGE):
    """The picture, as Mermaid: the command line at the top, and the wings as rounded boxes."""
    boxes = group(read_imports(package))
    wings = {name for name in boxes if (package / name / "__init__.py").exists()}
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {name}([{name}/])" for name in sorted(wings)]
    lines += [f"    {box} --> {each}" for box, imported in sorted(reduce(boxes).items()) for each in sorted(imported)]
    return "\n".join([*lines, "```"]).replace("__main__", "command_line")


def main():
    """Write the picture between its marks in CONTRIBUTING.md."""
    path = ROOT / "CONTRIBUTING.md"
    before, rest = path.read_text(encoding="utf-8").split(OPENING)
    path.write_text(f"{before}{OPENING}\n{draw()}\n{CLOSING}{rest.split(CLOSING)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
