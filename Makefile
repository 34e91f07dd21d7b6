# Digits from noise. `make help` lists what there is; CONTRIBUTING.md says more.

PYTHON  ?= python3
LESSONS ?=

BIN   := .venv/bin
READY := .venv/.installed
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: setup run lab test test-matrix outcomes fuzz lint refresh bench gpu site links reference clean help

# The last line of the set-up writes READY. A .venv without READY is an unfinished set-up and is made again;
# a .venv with an older READY is updated.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This needs Python 3.11 or newer, and " \
	  "$(PYTHON) is %s. Name another one: make PYTHON=python3.12 ..." % sys.version.split()[0])'
	$(PYTHON) -m venv $(if $(wildcard $@),,--clear) .venv
	@rm -f $@
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,docs]'
	$(BIN)/python tests/colab.py
	@touch $@

setup: $(READY)  ## install everything into .venv (the other targets do this by themselves, once)

run: $(READY)  ## run all lessons; copies and samples go to runs/ (LESSONS="03 06" for some)
	$(BIN)/python tools/lessons.py run $(LESSONS)

lab: $(READY)  ## open JupyterLab at lesson 00
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

test: $(READY)  ## run everything that must pass, in two processes
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-matrix: $(READY)  ## test with the oldest versions, the newest and Colab's (needs Python 3.11 and 3.13, the network, 15 GB)
	$(BIN)/nox --envdir build/nox

outcomes: $(READY)  ## run all lessons with their defaults and check their outcomes (LESSONS="03 06" for some)
	$(BIN)/python tools/lessons.py outcomes $(or $(LESSONS),all)

fuzz: $(READY)  ## try 10,500 damaged files
	FUZZ=1500 $(BIN)/python -m pytest tests/test_fuzz.py

lint: $(READY)  ## check style and formatting, of notebooks too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

refresh: $(READY)  ## run every lesson and, if all succeed, renew the committed copies, pictures and the playground
	$(BIN)/python tools/lessons.py refresh all
	$(BIN)/python tools/make_reference.py
	$(BIN)/python tools/make_playground.py

bench: $(READY)  ## time this machine against the usual loop (ten minutes; the machine must be idle), renew benchmarks/
	$(BIN)/python tools/make_bench.py --out benchmarks/results
	$(BIN)/python tools/make_reference.py

gpu: $(READY)  ## check and time this machine's GPU (eight minutes), renew benchmarks/results/gpu.json
	$(BIN)/python -m tools.make_gpu
	$(BIN)/python tools/make_reference.py

site: $(READY)  ## build the course site in build/site
	$(BIN)/python -m tools.make_site

links:  ## point every link at your repository on GitHub: that of `git remote`, or REPO=owner/name
	$(PYTHON) tools/links.py $(REPO)

# For maintainers, after a change to a net or a recipe. make_weights.py writes gan_lib/weights/RECIPE.safetensors from
# a finished run, and an entry in manifest.json.
reference: $(READY)  ## repeat the reference runs, the results and the bundled generators (many hours; continues)
	$(BIN)/python tools/make_stacked.py
	$(BIN)/python tools/make_losses.py
	$(BIN)/python tools/make_reference.py mlp-quick dcgan-quick
	$(BIN)/python tools/make_reference.py mlp --seeds 0 1 2 3 4
	$(BIN)/python tools/make_reference.py dcgan best cgan --seeds 0 1 2
	$(BIN)/python tools/make_reference.py lsgan hinge-sn wgan-gp r3gan --seeds 1 2 3
	$(BIN)/python tools/make_study.py
	$(BIN)/python tools/make_weights.py $(addprefix runs/reference/,mlp-0 dcgan-0 best-0 cgan-0)
	$(BIN)/python tools/make_augmentation.py
	$(BIN)/python tools/make_art.py
	cd runs/reference/dcgan-0 && cp progress.* *.png $(addprefix samples/,epoch_0.png epoch_1.png epoch_2.png epoch_5.png \
	  epoch_10.png epoch_20.png) ../../../samples/

clean:  ## delete runs/ and caches; .venv stays
	rm -rf runs notebooks/runs build *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage
	find gan_lib notebooks tests tools \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
