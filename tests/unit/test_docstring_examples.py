"""The examples in public docstrings run and print what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

PACKAGES = (
    *("orchestrator.functions", "results.statistics", "results.storage", "search_spaces.space"),
    "tasks.contract",
)


def modules() -> Iterator[str]:
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield name
        found = pkgutil.iter_modules(getattr(package, "__path__", []))
        yield from (f"{name}.{module.name}" for module in found)


@pytest.mark.parametrize("name", list(modules()))
def test_examples_print_what_they_show(name: str) -> None:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        report: list[str] = []
        runner.run(test, out=report.append)
        assert not runner.failures, "".join(report)
