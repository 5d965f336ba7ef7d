# Clarion: what one types here. `make run` and `make test` are all that a newcomer needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.PHONY: run test programs check format build bench chaos clean docs

run: $(READY)            ## start a node with private stores and a development CA
	$(BIN)/clarion serve

test: programs $(READY)  ## every test
	$(BIN)/python -m pytest -q

programs:                ## what the tests need besides Python packages, as root on Debian
	@.ci/programs

check: $(READY)          ## format, lint, types, import direction, README commands, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_imports.py tests/unit/test_readme.py tests/unit/test_sizes.py \
	    tests/unit/test_top_level.py tests/unit/ops/test_reference.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: $(READY)          ## compile the codec and the UDP transport again, in place
	$(BIN)/python setup.py -q build_ext --inplace

bench: $(READY)          ## CPU per REGISTER, call, MESSAGE, push and stored message, next to Kamailio where it is installed
	$(BIN)/python -m loadtests.compare
	$(BIN)/python -m loadtests.push
	$(BIN)/python -m loadtests.messages

chaos: $(READY)          ## 5,000 messages while nodes and stores are killed, stopped and cut off
	$(BIN)/python -m tests.failover.chaos --messages 5000 --recipients 200

docs: $(READY)           ## write the pages that are generated
	$(BIN)/clarion config reference > docs/reference/configuration.md

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find cluster node relay ops tests -name __pycache__ -type d -prune -exec rm -rf {} +
	find cluster node relay ops -name '*.so' -delete

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[embedded,test,dev]'
	touch $@
