# make demo    the main job on real data, with a PagerDuty of its own
# make test    every mechanism, on three versions of PySpark
# make test-all   everything, on every version: for nights and releases
# make test-engines   the integrations, each with its real engine in an environment of its own
# make stress  repeat tests while every core is busy (TESTS=tests/outbox, N=20)
# make payloads   10,000 examples of each property of what is sent to PagerDuty; the tests have 300
# make drain   10,000 failing runs at once, until all is told; the tests have 2,000
# make faults  10,000 random runs with everything going wrong (RUNS=, SEED=)
# make check   format, lint, types and the direction of imports
# make clean   remove what the others made
#
# Each makes the environment it needs, the first time and whenever pyproject.toml changes. See CONTRIBUTING.md.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-3.5 test-4.2 test-4.3 test-all test-engines test-all-3.5 test-all-4.2 test-all-4.3 stress payloads drain faults check format clean

RUNS ?= 10000
SEED ?= 7

# What make test leaves to make test-all, and what it runs on PySpark 3.5 and 4.3: the markers are in pyproject.toml, docs/testing.md says more.
IN_TEST := not exhaustive
BY_VERSION := versions and not exhaustive
# The folders that test-all runs on 3.5: what touches Spark. On 4.3: the traps of incidents and of the operator.
SPARK_TESTS := tests/checks tests/end_to_end tests/error_table tests/stats tests/state tests/listener tests/streaming
TRAPS := tests/end_to_end tests/checks/test_counting_operator.py tests/checks/test_counting_writes.py tests/checks/test_counting_connect.py tests/listener
# They kill processes and send signals to themselves, so test-all gives them a pytest of their own.
ROUGH_TESTS := tests/crash tests/faults
# A worker for each of two cores; a file's tests stay together, since they share what takes long to make.
WORKERS := --numprocesses 2 --dist loadfile
# More arguments for pytest, such as: make test-4.2 PYTEST_ARGS='-k empty_input -x'
PYTEST_ARGS ?=
TESTS ?= tests
N ?= 20

# PySpark 3.5 imports distutils, which Python 3.12 has only by setuptools, and keeps to NumPy 1, for which later pyarrows are too new.
PINS_3.5 := 'pyspark[connect]==3.5.9' delta-spark==3.3.3 setuptools 'pyarrow<20'
PINS_4.2 := 'pyspark[connect]==4.2.0' delta-spark==4.4.0
PINS_4.3 := 'pyspark[connect]==4.3.0'
# DQX and Great Expectations, on a PySpark that both take.
PINS_DQX := pyspark==4.0.1 databricks-labs-dqx==0.17.0
PINS_GX := pyspark==4.0.1 great_expectations==1.24.1

WITH_JAVA := JAVA_HOME="$$(sh scripts/java)" && export JAVA_HOME &&

help:
	@sed -n 's/^# make/make/p' Makefile

demo: .venv/.ready
	@$(WITH_JAVA) .venv/bin/spark-pd demo

# Each part runs whatever became of the one before. The whole suite comes last, so that the closing line is the one that counts most.
test test-all:
	@bad=; for part in 3.5 4.3 4.2; do $(MAKE) --no-print-directory $@-$$part || bad="$$bad $$part"; done; \
	test -z "$$bad" || { echo "make $@: failed on PySpark$$bad" >&2; exit 1; }

test-4.2: .venv/classes.jsa
	@$(WITH_JAVA) .venv/bin/python -m pytest $(WORKERS) -m '$(IN_TEST)' $(PYTEST_ARGS)

test-3.5: .venv-3.5/classes.jsa
	@$(WITH_JAVA) .venv-3.5/bin/python -m pytest $(WORKERS) -m '$(BY_VERSION)' $(PYTEST_ARGS)

test-4.3: .venv-4.3/classes.jsa
	@$(WITH_JAVA) .venv-4.3/bin/python -m pytest $(WORKERS) -m '$(BY_VERSION)' $(PYTEST_ARGS)

test-all-4.2: .venv/classes.jsa
	@$(WITH_JAVA) .venv/bin/python -m pytest $(ROUGH_TESTS) $(PYTEST_ARGS); rough=$$?; \
	.venv/bin/python -m pytest $(WORKERS) $(ROUGH_TESTS:%=--ignore=%) $(PYTEST_ARGS) && exit $$rough

test-all-3.5: .venv-3.5/classes.jsa
	@$(WITH_JAVA) .venv-3.5/bin/python -m pytest $(WORKERS) $(SPARK_TESTS) $(PYTEST_ARGS)

test-all-4.3: .venv-4.3/classes.jsa
	@$(WITH_JAVA) .venv-4.3/bin/python -m pytest $(WORKERS) $(TRAPS) $(PYTEST_ARGS)

test-engines: .venv-dqx/.ready .venv-gx/.ready
	@$(WITH_JAVA) .venv-dqx/bin/python -m pytest tests/integrations/test_dqx.py $(PYTEST_ARGS); dqx=$$?; \
	.venv-gx/bin/python -m pytest tests/integrations/test_great_expectations.py $(PYTEST_ARGS) && exit $$dqx

stress: .venv/classes.jsa
	@$(WITH_JAVA) sh scripts/busy .venv/bin/python -m pytest $(TESTS) --count $(N) --repeat-scope session $(PYTEST_ARGS)

payloads: .venv/.ready
	@.venv/bin/python -m pytest --hypothesis-profile=thorough --timeout=7200 tests/pagerduty/test_pagerduty_payloads.py $(PYTEST_ARGS)

drain: .venv/.ready
	@SPARK_PD_DRAIN_RUNS=$(RUNS) .venv/bin/python -m pytest --timeout=3600 -m exhaustive tests/dispatch/test_drain.py $(PYTEST_ARGS)

faults: .venv/.ready
	@.venv/bin/python -m tests.faults --runs $(RUNS) --seed $(SEED)

check: .venv/.ready
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: .venv/.ready
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

.venv/.ready: pyproject.toml scripts/venv Makefile
	@sh scripts/venv .venv $(PINS_4.2)
	@touch $@

.venv-3.5/.ready: pyproject.toml scripts/venv Makefile
	@sh scripts/venv .venv-3.5 $(PINS_3.5)
	@touch $@

.venv-4.3/.ready: pyproject.toml scripts/venv Makefile
	@sh scripts/venv .venv-4.3 $(PINS_4.3)
	@touch $@

.venv-dqx/.ready: pyproject.toml scripts/venv Makefile
	@sh scripts/venv .venv-dqx $(PINS_DQX)
	@touch $@

.venv-gx/.ready: pyproject.toml scripts/venv Makefile
	@sh scripts/venv .venv-gx $(PINS_GX)
	@touch $@

# What the tests' JVMs start from. Tests do without it where it cannot be made.
%/classes.jsa: %/.ready scripts/class-archive
	@sh scripts/class-archive $*
	@test -e $@ || touch $@

clean:
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks
	rm -rf spark-warehouse metastore_db derby.log artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
