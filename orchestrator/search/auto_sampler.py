"""OptunaHub's AutoSampler, from the folder where the package optunahub keeps what it downloads.

A sweep downloads no code. The user does that once, with the command in the error. Imports Optuna.
"""

from __future__ import annotations

import os
from pathlib import Path

import optuna

from results.extras import require
from tasks.contract import RequestError

PACKAGE = "samplers/auto_sampler"
DOWNLOAD = f"import optunahub; optunahub.load_module('{PACKAGE}')"


def make_auto_sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Return an AutoSampler.

    Raises:
        RequestError: if optunahub is not installed, or its AutoSampler is not downloaded or does
            not work.
    """
    require("--sampler auto", "optunahub")
    registry = _find_registry()
    try:
        import optunahub

        module = optunahub.load_local_module(PACKAGE, registry_root=str(registry))
        found = module.AutoSampler(seed=seed)
    except Exception as error:
        raise RequestError(
            f"--sampler auto: the AutoSampler in {registry / PACKAGE} failed with "
            f"{type(error).__name__}: {error}; delete that folder and download it again with "
            f'python -c "{DOWNLOAD}"'
        ) from error
    assert isinstance(found, optuna.samplers.BaseSampler)
    return found


def cache_folder() -> Path:
    """Return the folder in which optunahub keeps its downloads."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("OPTUNAHUB_CACHE_HOME") or Path(cache) / "optunahub")


def _find_registry() -> Path:
    """Return the folder of the registry that contains the AutoSampler."""
    cache = cache_folder()  # below it: host, owner, repository, and branch or commit
    pattern = f"*/optuna/optunahub-registry/*/package/{PACKAGE}/__init__.py"
    found = sorted(cache.glob(pattern), key=lambda path: ("/main/" not in str(path), path))
    if not found:
        raise RequestError(
            f"--sampler auto: OptunaHub's AutoSampler is not in {cache}. Download it once with "
            f'python -c "{DOWNLOAD}". Without a network, run that elsewhere and copy the folder '
            "~/.cache/optunahub; OPTUNAHUB_CACHE_HOME names another one"
        )
    return found[0].parents[len(Path(PACKAGE).parts)]
