"""Point badges, install lines and links at your repository, which pyproject.toml names in [project.urls].

python tools/links.py               # the repository of `git remote`, on GitHub
python tools/links.py owner/name
"""

import argparse
import json
import re
import subprocess
import tomllib
from pathlib import Path

UNKNOWN = "YOUR_NAME/"  # the owner as long as nobody has put the course on GitHub
NONE = "*For Colab and Kaggle: `make links`*"  # instead of badges
# a row of README's table of lessons: all but its last cell, and the name of the file
ROW = re.compile(r"^(\| \[\d\d · [^]]+\]\(notebooks/(\S+?)\) \|.*\|)[^|]*\|$", re.MULTILINE)


def badges(repository, name):
    """The badges of a lesson in Markdown; without a repository, how to get them."""
    if repository.startswith(UNKNOWN):
        return NONE
    path = f"{repository}/blob/main/notebooks/{name}"
    return (
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/github/{path}) "
        "[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]"
        f"(https://kaggle.com/kernels/welcome?src=https://github.com/{path})"
    )


def bootstrap(repository, more=""):
    """The first code cell of a lesson; `more` are packages that Colab and Kaggle lack."""
    start = 'import os\n\nif "COLAB_RELEASE_TAG" in os.environ or "KAGGLE_KERNEL_RUN_TYPE" in os.environ:\n    '
    if repository.startswith(UNKNOWN):
        return f'{start}raise RuntimeError("This copy does not know its repository: run `make links` in it, and push.")'
    gpu = "No GPU is on. Runtime > Change runtime type > T4 GPU (Kaggle: Settings > Accelerator) adds one."
    return (
        f"{start}%pip install -q --no-deps git+https://github.com/{repository}\n"
        + f"    %pip install -q {more}\n" * bool(more)
        + f'    !nvidia-smi > /dev/null 2>&1 || echo "{gpu}"'
    )


def current(root):
    """The repository that pyproject.toml names, as owner/name."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].removeprefix("https://github.com/")


def of_remote(root):
    """The repository on GitHub that `git remote` names "origin", as owner/name; "" if there is none."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    address = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    found = re.fullmatch(r"(?:https://(?:[^@/]+@)?|(?:ssh://)?git@)github\.com[:/]([^/]+/[^/]+?)(?:\.git)?/?", address)
    return found[1] if found else ""


def rewrite(root, new):
    """Replace the repository in pyproject.toml, the pages and the notebooks; return the files that changed."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+/[\w.-]+", new, re.ASCII):
        raise ValueError(f"{new!r} is no repository. Give it as owner/name, for instance: make links REPO=ada/digits")
    old, changed = re.compile(rf"(?<![\w-]){re.escape(current(root))}(?![\w-])"), []
    pages = [root / "pyproject.toml", *root.glob("CITATION.cff"), *root.glob("*.md"), *root.glob("docs/*.md")]
    for path in [*pages, *root.glob("notebooks/*.ipynb")]:
        text = path.read_text(encoding="utf-8")
        change = {".ipynb": in_lesson, ".md": in_page}.get(path.suffix, lambda text, *_: text)
        replaced = change(old.sub(new, text), new, path.name)
        if replaced != text:
            path.write_text(replaced, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


def in_page(text, repository, _):
    """The text of a page with small badges of this repository in the table of lessons, "–" without one."""
    cell = lambda name: badges(repository, name).replace(NONE, "–").replace("Open in ", "")
    return ROW.sub(lambda row: f"{row[1]} {cell(row[2])} |", text)


def in_lesson(text, repository, name):
    """The text of a notebook with the badges (the second paragraph) and the first code cell of this repository."""
    notebook = json.loads(text)
    title, _, *others = "".join(notebook["cells"][0]["source"]).split("\n\n")
    sources = {0: "\n\n".join([title, badges(repository, name), *others])}
    for i, cell in enumerate(notebook["cells"]):
        if "bootstrap" in cell["metadata"].get("tags", []):
            imports = "".join("".join(each["source"]) for each in notebook["cells"][i + 1 : i + 2])
            sources[i] = bootstrap(repository, "optuna" * bool(re.search(r"^import optuna$", imports, re.MULTILINE)))
    for i, source in sources.items():
        notebook["cells"][i]["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", nargs="?", default="", metavar="owner/name")
    root = Path(__file__).resolve().parent.parent
    try:
        for path in rewrite(root, parser.parse_args().repository or of_remote(root)):
            print(path.relative_to(root))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
