"""Check for optional packages, and tell users how to install them."""

from __future__ import annotations

import importlib.util

from tasks.contract import RequestError

_PACKAGE = "multimodal-sweep-orchestrator"
EXTRAS = {
    "ray": "ray",
    "optuna": "search",
    "cmaes": "search",
    "optunahub": "hub",
    "matplotlib": "plots",
    "plotext": "plots",
    "duckdb": "query",
    "jinja2": "serve",
    "plotly": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "tensorboardX": "track-tensorboard",
    "mlflow": "track-mlflow",
    "wandb": "track-wandb",
    "trackio": "track-trackio",
    "aim": "track-aim",
}


def is_installed(module: str) -> bool:
    """Return whether a package is installed, without importing it."""
    spec = importlib.util.find_spec(module)
    # A folder without code has no origin, such as ``wandb``, to which W&B writes.
    return spec is not None and spec.origin is not None


def missing(what: str, module: str) -> str:
    """Return one line that says that ``what`` needs a package, with the command to install it."""
    extra = EXTRAS[module]
    return f"{what} needs {module}, which is not installed: pip install '{_PACKAGE}[{extra}]'"


def require(what: str, module: str, otherwise: str = "") -> None:
    """Raise an error if an optional package is not installed.

    Raises:
        RequestError: the message has the command to install it, and ends with ``otherwise``, an
            alternative.
    """
    if not is_installed(module):
        raise RequestError(missing(what, module) + otherwise)
