# Everything a developer runs. Needs python3 (3.11 to 3.13), make and git; the rest comes into .venv, at the versions
# in uv.lock. Arguments pass through: make test ARGS="tests/service -x".

PYTHON ?= python3 /usr/bin/python3 python3.13 python3.12 python3.11
UV     := 0.13.9
PIP    := 26.3
N      ?= 1000
SEEDS  ?= 2000
KIND   ?= all
HOURS  ?= 1
MINUTES ?= 10
JOBS   ?= 3
ARCH   ?= x86_64
PY     ?= 3.11

BIN    := .venv/bin
STAMP  := .venv/.synced
BUNDLE  = dist/gated-py$(PY)-$(ARCH)

# Without .pyc, imports take three times as long; a foreign PYTHONPATH or VIRTUAL_ENV leads uv and pytest astray.
unexport PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED PYTHONPATH PYTHONHOME VIRTUAL_ENV UV_PROJECT_ENVIRONMENT
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help venv demo test bench torture simulate fuzz soak bundle fmt clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

venv: $(STAMP) ## Make .venv with everything in it
	@echo ".venv is ready: $$($(BIN)/python --version)"

demo: $(STAMP) ## Run a community: five gates on emulated devices, a broker, a center (READERS=llrp,rsu,nfc)
	@$(BIN)/gated demo $(if $(READERS),--readers "$(READERS)") $(ARGS)

test: $(STAMP) ## Check lint, format, types and imports, and run all tests
	@$(need_servers)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

bench: $(STAMP) ## Measure: from tag to open, the journal, the list
	@UV_PROJECT_ENVIRONMENT=.build/box $(BIN)/uv sync --quiet --frozen --no-dev --extra nfc --extra osdp --compile-bytecode --python $(BIN)/python
	@$(BIN)/python -m benchmarks $(ARGS)

torture: $(STAMP) ## Kill the daemon N=1000 times and look for lost or doubled events
	@$(BIN)/python -m tests.torture --rounds $(N) $(ARGS)

simulate: $(STAMP) ## Every order of faults between gates and center, SEEDS=2000 times (SEED=7: that one)
	@$(BIN)/python -m tests.simulation --kind $(KIND) --seeds $(SEEDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: $(STAMP) ## Throw whatever bytes come at CODEC=uhf18 for MINUTES=10 (all: each; none: list them)
	@$(if $(CODEC),$(if $(ARGS),,$(need_atheris)))
	@$(BIN)/python -m tests.fuzz --codec "$(CODEC)" --minutes $(MINUTES) $(ARGS)

soak: $(STAMP) ## A whole community under random faults for HOURS=1
	@$(BIN)/python -m tests.soak --hours $(HOURS) $(ARGS)

# pyDes, below nfcpy, is published as source only. It is Python alone: the wheel made here fits every box.
bundle: $(STAMP) ## Pack all that a box or a center without internet needs (PY=3.11 ARCH=x86_64)
	rm -rf $(BUNDLE) && mkdir -p $(BUNDLE)/wheels
	$(BIN)/uv build --quiet --wheel --out-dir $(BUNDLE)/wheels
	$(BIN)/uv export --quiet --frozen --no-dev --no-emit-project --extra center --extra postgresql --extra gpio \
	    --extra nfc --extra osdp --no-emit-package pydes --output-file $(BUNDLE)/requirements.txt
	$(BIN)/uv export --quiet --frozen --no-dev --extra nfc --only-emit-package pydes --output-file $(BUNDLE)/pydes.txt
	$(BIN)/python -m pip download --quiet --only-binary :all: --no-deps --dest $(BUNDLE)/wheels \
	    --python-version $(PY) $(foreach tag,manylinux_2_28 manylinux_2_17 manylinux2014,--platform $(tag)_$(ARCH)) \
	    --requirement $(BUNDLE)/requirements.txt
	$(BIN)/python -m pip wheel --quiet --no-deps --require-hashes --wheel-dir $(BUNDLE)/wheels --requirement $(BUNDLE)/pydes.txt
	$(BIN)/python -m pip download --quiet --only-binary :all: --no-deps --dest $(BUNDLE) pip==$(PIP)
	mv $(BUNDLE)/pip-$(PIP)-*.whl $(BUNDLE)/pip.whl
	cp -r systemd config docs $(BUNDLE)/
	tar -C dist --owner=0 --group=0 --numeric-owner --mode=u+rwX,go=rX -cf $(BUNDLE).tar $(notdir $(BUNDLE))
	@echo $(BUNDLE).tar

fmt: $(STAMP) ## Format, mend what the linter can mend, renew what of docs/ is made from the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python -m tests.docs.generate

clean: ## Remove all that make has made
	rm -rf .venv .build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Done again only when the lock, pyproject.toml or the pinned uv changes.
$(STAMP): uv.lock pyproject.toml Makefile
	@$(find_python); $(need_venv); $(find_uv)
	@$(BIN)/uv sync --quiet --frozen --all-extras --python $(BIN)/python
	@touch $@

fits = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

define find_python
set -e; python=; seen=; \
for p in $(PYTHON); do \
    if "$$p" -c '$(fits)' 2>/dev/null; then python=$$p; break; fi; \
    seen="$$seen, $$p: $$("$$p" --version 2>/dev/null || echo not there)"; \
done; \
if [ -z "$$python" ]; then \
    echo "Python 3.11, 3.12 or 3.13 is needed; found $${seen#, }." >&2; \
    echo "Name another: make PYTHON=/path/to/python3.12" >&2; exit 1; \
fi
endef

define need_venv
if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
    package=python$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv; \
    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
        echo "$$python has no venv: installing $$package"; \
        export DEBIAN_FRONTEND=noninteractive; \
        apt-get update -qq || true; apt-get install -qq -y --no-install-recommends "$$package" >/dev/null; \
    else \
        echo "$$python has no venv: sudo apt-get install $$package, then make again" >&2; exit 1; \
    fi; \
fi
endef

# The tests start a broker and a database of their own.
define need_servers
missing=; \
command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || missing="$$missing mosquitto"; \
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
if [ -n "$$missing" ]; then \
    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
        echo "the tests need servers of their own: installing$$missing"; \
        export DEBIAN_FRONTEND=noninteractive; \
        apt-get update -qq || true; apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
    else \
        echo "the tests need servers of their own: sudo apt-get install$$missing, then make again" >&2; exit 1; \
    fi; \
fi
endef

# Not among what .venv holds otherwise: 35 MB for one command, and not there for every machine.
define need_atheris
if ! $(BIN)/python -c 'import atheris' 2>/dev/null; then \
    $(BIN)/uv sync --quiet --frozen --all-extras --group fuzz --no-build-package atheris --python $(BIN)/python || { \
        echo "The fuzzer, atheris, is there for Python 3.11 to 3.13 on x86_64 Linux with glibc only, not built here." >&2; \
        echo "make test tries the same properties without it, with few inputs." >&2; exit 1; \
    }; \
fi
endef

define find_uv
if ! $(BIN)/python -c '$(fits)' 2>/dev/null || [ "$$($(BIN)/uv --version 2>/dev/null | cut -d " " -f 2)" != $(UV) ]; then \
    echo "making .venv with $$("$$python" --version)"; \
    "$$python" -m venv --clear .venv; \
    $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV); \
fi
endef
