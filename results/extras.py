"""Optional packages: what needs them, and how to install them."""

from __future__ import annotations

import importlib.util

from tasks.contract import RequestError

_PACKAGE = "multimodal-sweep-orchestrator"
EXTRAS = {
    "ray": "ray",
    "optuna": "search",
    "cmaes": "search",
    "matplotlib": "plots",
    "plotext": "plots",
}


def is_installed(module: str) -> bool:
    """Whether a package can be imported; it is not imported."""
    return importlib.util.find_spec(module) is not None


def missing(what: str, module: str) -> str:
    """One line: ``what`` needs the package, and the command that installs it."""
    extra = EXTRAS[module]
    return f"{what} needs {module}, which is not installed: pip install '{_PACKAGE}[{extra}]'"


def require(what: str, module: str, otherwise: str = "") -> None:
    """Refuse to go on without an optional package.

    Raises:
        RequestError: with the command that installs it, and ``otherwise``, another way.
    """
    if not is_installed(module):
        raise RequestError(missing(what, module) + otherwise)
