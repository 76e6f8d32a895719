# A fresh machine needs Python 3.11, git and make, nothing else.
#
#   make train                  train what config/training_sequence.yaml says, then backtest the result
#   make train SYMBOL=NASDAQ    the same on another market
#   make install                only install what training and backtests need
#   make live                   only install, with what the live bot needs beside that
#   make test                   every check of the project
#   make docs                   the documentation as a site, into site/
#   make server-lock            what the image of the live bot installs, file by file (deploy/)
#
# They install into .venv first, again only when pyproject.toml or requirements.lock has changed.

SYMBOL ?= $(shell sed -n 's/^symbol: *\([^ ]*\).*/\1/p' config/training_sequence.yaml | tr -d "'\"")
PYTHON ?= $(shell for name in python3.11 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo "$$name" && break; \
	done)
BIN := .venv/bin

.PHONY: train install live test docs server-lock
.DELETE_ON_ERROR:

train: .venv/installed-train
	$(BIN)/python run_training.py symbol="$(SYMBOL)"
	$(BIN)/python run_backtest.py --symbol "$(SYMBOL)" --progress

install: .venv/installed-train

live: .venv/installed-train,live

test: .venv/installed-train,live,dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --durations=40

docs: .venv/installed-train,live,dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html; to search it, python -m http.server --directory site"

server-lock: .venv/installed-train,live
	$(BIN)/python deploy/lock_server.py

# The part after the dash names the extras. torch comes first and by itself: it is most of the download.
.venv/installed-%: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed and was not found as python3.11 or python3; install it," \
		"or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into .venv; the first time takes a few minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -c requirements.lock "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install -c requirements.lock --editable ".[$*]"
	@touch "$@"
