"""Point every link at another repository: the one [project.urls] names, wherever it stands, becomes the one given.

python tools/links.py owner/name
"""

import argparse
import re
import tomllib
from pathlib import Path


def current(root):
    """The repository that pyproject.toml names, as owner/name."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].removeprefix("https://github.com/")


def rewrite(root, new):
    """Replace the repository in pyproject.toml, the pages and the notebooks; return the files that changed."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+/[\w.-]+", new, re.ASCII):
        raise ValueError(f"{new!r} is no repository. Give it as owner/name, for instance: make links REPO=ada/digits")
    old = re.compile(rf"(?<![\w-]){re.escape(current(root))}(?![\w-])")
    changed = []
    for path in [root / "pyproject.toml", *root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("notebooks/*.ipynb")]:
        text = path.read_text(encoding="utf-8")
        if (replaced := old.sub(new, text)) != text:
            path.write_text(replaced, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", nargs="?", default="", metavar="owner/name")
    root = Path(__file__).resolve().parent.parent
    try:
        for path in rewrite(root, parser.parse_args().repository):
            print(path.relative_to(root))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
