"""`make test-matrix`: the unit tests and the smoke of every lesson with three sets of versions, each in a new environment.

UV_TORCH_BACKEND=cpu takes PyTorch without CUDA, which is smaller, where its index can be reached.
"""

import nox

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True
OLD = {"PYTEST_ADDOPTS": "-W ignore::DeprecationWarning"}  # what new libraries say to old ones
# Colab's, beside those of tests/colab.txt.
COLAB = ["matplotlib==3.10.0", "numpy==2.1.3", "torch==2.11.0", "torchvision==0.26.0"]


def run_tests(session, **environment):
    """Run what needs no browser. A test that hangs fails after ten minutes."""
    session.install("pip", "pytest-timeout")
    session.run("python", "-m", "pytest", "--timeout=600", "--ignore=tests/browser", *session.posargs, env=environment)


@nox.session(python="3.11")
def oldest(session):
    """The oldest versions that pyproject.toml admits."""
    session.install("--resolution", "lowest-direct", "-e", ".[dev,docs]")
    run_tests(session, **OLD)


@nox.session(python="3.13")
def newest(session):
    """The newest versions."""
    session.install("-e", ".[dev,docs]")
    run_tests(session)


@nox.session(python="3.13")
def colab(session):
    """Colab's versions of what the lessons import; its kernel and widgets replace ours."""
    session.install("-e", ".[dev,docs]", *COLAB)
    session.install("--no-deps", "-r", "tests/colab.txt")
    run_tests(session, **OLD)
