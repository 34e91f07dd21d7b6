"""Build the course site in build/site from docs/, the executed lessons and the docstrings. No lesson is run.

python -m tools.make_site

Sphinx, with MyST-NB and the theme furo, reads a folder that this tool fills: the pages and lessons with a few changes.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from tools import links, make_structure

ROOT = Path(__file__).resolve().parent.parent
BADGE = re.compile(r"\[!\[(Open in \w+)\]\(https:[^)]*\)\]")
TIMES = re.compile(r"about (\d+) minutes for you; .* about (\d+ \w+) on two CPU cores")
EXERCISE = re.compile(r"### (Exercise.*)\n> Difficulty ([●○]+), (\d+ min)")
TERM = re.compile(r"^- \*\*(.+?)\*\* \(lesson (\d\d)\): (.+)$", re.MULTILINE)


def lesson(notebook, terms):
    """The text of a lesson for the site: no pictures from elsewhere, terms that link to the glossary, no first code cell."""
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if "bootstrap" in cell["metadata"].get("tags", []):
            cell["metadata"]["tags"].append("remove-cell")
        if cell["cell_type"] == "markdown":
            source = BADGE.sub(r"[\1]", source).replace(links.NONE + "\n", "")
            source = re.sub(r"https://github\.com/[^)\s]*/docs/(\w+)\.md", r"../\1.md", source)
            source = re.sub(r"\[([^]]+)\]\(\.\./samples/(\w+\.html)\)", r'<a href="../\2">\1</a>', source)
            cell["source"] = re.sub(r"\*\*(.+?)\*\*", lambda found: link(found[1], terms), source)
    return json.dumps(notebook)


def link(words, terms):
    """A bold term, as a link to the glossary; other bold words as they are."""
    return f"{{term}}`{words} <{terms[words.lower()]}>`" if words.lower() in terms else f"**{words}**"


def table_of_lessons(notebooks):
    """The lessons as a Markdown table, with the learner's minutes and the computing time."""
    rows = ["| lesson | its question | you | computing |", "|---|---|---:|---:|"]
    for name, notebook in notebooks.items():
        first = "".join(notebook["cells"][0]["source"])
        title = re.match(r"# (.+)", first)[1]
        question = " ".join(re.search(r"\*\*The question:\*\* (.+?\?)", first, re.DOTALL)[1].split())
        minutes, computing = TIMES.search(first).groups()
        rows.append(f"| [{title}](notebooks/{name}) | {question} | {minutes} min | {computing} |")
    return "\n".join(rows)


def table_of_exercises(notebooks):
    """All exercises as a Markdown table."""
    rows = ["| lesson | exercise | difficulty | time |", "|---|---|---|---:|"]
    for name, notebook in notebooks.items():
        found = [match for cell in notebook["cells"] for match in EXERCISE.findall("".join(cell["source"]))]
        rows += [f"| [{name[:2]}](notebooks/{name}) | {' | '.join(words)} |" for words in found]
    return "\n".join(rows)


def sliders(notebook):
    """The live sliders that a lesson shows first, as HTML."""
    outputs = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return next("".join(data["text/html"]) for data in outputs if "text/html" in data)


def reference():
    """The page of the package's modules: the core, then the wings without the exercises' checks."""
    names = [name for name in make_structure.read_imports() if not name.startswith(("checks.", "__main__"))]
    names.sort(key=lambda name: ("." in name, name))
    parts = [f"## gan_lib.{name}\n\n```{{eval-rst}}\n.. automodule:: gan_lib.{name}\n```" for name in names]
    return "\n\n".join(["# API reference", "What the docstrings say.", *parts]) + "\n"


def stage(root, folder):
    """Fill `folder` with what Sphinx reads."""
    shutil.copytree(root / "docs", folder)
    (folder / "extra").mkdir()
    for name in ("playground.html", "train.html"):
        shutil.copy(root / "samples" / name, folder / "extra")
    shutil.copy(root / "benchmarks" / "results" / "bench.png", folder)
    paths = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    notebooks = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    start = paths[0].name
    glossary = (folder / "glossary.md").read_text(encoding="utf-8")
    terms = {term.lower(): term for term, _, _ in TERM.findall(glossary)}
    open_in = BADGE.sub(r" · [\1]", links.badges(links.current(root), start)).replace(links.NONE, "")
    for name, old, new in [
        ("index.md", "<!-- sliders -->", sliders(notebooks[start])),
        ("index.md", "<!-- lessons -->", table_of_lessons(notebooks)),
        ("index.md", "<!-- badges -->", open_in),
        ("index.md", "<!-- files -->", "\n".join(f"notebooks/{path.stem}" for path in paths)),
        ("teaching.md", "<!-- exercises -->", table_of_exercises(notebooks)),
        ("results.md", "../benchmarks/results/", ""),
    ]:
        page = folder / name
        page.write_text(page.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    entries = [f"{term}\n  {words} (lesson {number})\n" for term, number, words in TERM.findall(glossary)]
    intro = glossary[: TERM.search(glossary).start()]
    text = "\n".join([intro, "```{glossary}", *entries, "```\n"])
    (folder / "glossary.md").write_text(text, encoding="utf-8")
    (folder / "api.md").write_text(reference(), encoding="utf-8")
    shutil.copy(root / "CHANGELOG.md", folder / "changelog.md")
    (folder / "notebooks").mkdir()
    for name, notebook in notebooks.items():
        (folder / "notebooks" / name).write_text(lesson(notebook, terms), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="the folder of the site (build/site)")
    out = parser.parse_args().out
    source = out.with_name(f"{out.name}-source")
    for folder in (out, source):
        shutil.rmtree(folder, ignore_errors=True)
    stage(ROOT, source)
    return sphinx(["-q", "-W", "-j", "auto", "--keep-going", "-d", str(source / ".doctrees"), str(source), str(out)])


if __name__ == "__main__":
    sys.exit(main())
