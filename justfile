# One-command tasks; `just` lists them. Each runs in the virtual environment .venv.

python := ".venv/bin/python"

# List the tasks.
default:
    @just --list

# Make the environment.
install:
    python3 -m venv .venv && .venv/bin/pip install -r requirements.lock -e . -e examples/toy

# Lint, formatting, spelling and types.
check:
    .venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/codespell && .venv/bin/mypy

# Fix what ruff can fix, and format.
fix:
    .venv/bin/ruff check --fix . && .venv/bin/ruff format .

# The unit tests, one minute.
test *args:
    {{python}} -m pytest {{args}}

# Every test, about 50 minutes.
test-all *args:
    {{python}} -m pytest tests {{args}}

# The documentation site, in site/; `just docs serve` shows it while you write.
docs command="build --clean --strict":
    {{python}} -m zensical {{command}}

# What CI runs, from a clean environment.
ci:
    .ci/run
