# `make` alone explains. Everything happens in .venv; the machine's own Python is only asked to make that.

.DEFAULT_GOAL := help
.PHONY: help demo check lint types layers tests format baselines soak fuzz chaos longrun bench bench-peers clean

help:
	@echo "make demo     make .venv, install hootbus, run the main job: a broker, two workers, audio analysed in place"
	@echo "make check    make .venv, install hootbus with its tools, run lint, types, layering and all tests"
	@echo "make lint | types | layers | tests    one of these steps alone"
	@echo "make format   let ruff put the code into shape"
	@echo "make baselines    count anew what a request and an event cost, for tests/gate to hold on to (three minutes)"
	@echo "make soak     simulated storms on all processors until Ctrl-C (ARGS=\"--minutes 10\"); make check runs a few"
	@echo "make fuzz     all that reads bytes, guided by coverage (SECONDS=60 for each), then a million broken Cap'n Proto"
	@echo "              messages, read in every way (ten minutes; ARGS=\"--count 9999 --seed 1\")"
	@echo "make chaos    real processes killed, hung and cut off at random, and every request accounted for (ARGS=\"--minutes 10 --seed 1\")"
	@echo "make longrun    the broker's memory over ten million messages and ten thousand connections (five minutes; ARGS=\"--messages 9999\")"
	@echo "make bench    measure hootbus beside its peers on this machine (ten minutes; ARGS=--quick for a first look)"
	@echo "make bench-peers    install these peers: NATS, zenoh, Redis, gRPC; what is missing is skipped"
	@echo "make clean    remove .venv and everything else that was made"
	@echo
	@echo "Needs Python 3.11 or newer with venv (PYTHON=/path/to/python3 names one), make, and nothing else."
	@echo "With a C compiler the hot path is compiled (a minute); without one hootbus is slower and behaves the same."

demo:
	@.ci/venv
	@.venv/bin/hoot demo $(ARGS)

check:
	@.ci/venv --dev
	@.ci/check lint types layers tests

lint types layers tests format baselines:
	@.ci/venv --dev
	@.ci/check $@

soak:
	@.ci/venv --dev
	@PYTHONPATH=tests .venv/bin/python -P -m sim.soak $(ARGS)

fuzz:
	@.ci/venv --dev
	@PYTHONPATH=tests .venv/bin/python -P -m fuzz.cover --seconds $(or $(SECONDS),60)
	@PYTHONPATH=tests .venv/bin/python -P -m conformance.capnp.fuzz $(ARGS)

chaos:
	@.ci/venv --dev
	@PYTHONPATH=tests .venv/bin/python -P -m chaos $(ARGS)

longrun:
	@.ci/venv --dev
	@PYTHONPATH=tests .venv/bin/python -P -m chaos.longrun $(ARGS)

bench:
	@.ci/venv
	@PYTHONPATH=tests .venv/bin/python -P -m benchmarks $(ARGS)

bench-peers:
	@.ci/bench-peers

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f frames/_joined.c frames/_native.c */*.so */*.pyd
	find bus frames schemas workers tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
