"""Describe how a search chose its configurations."""

from __future__ import annotations

from results.storage.manifest_parts import Search

_NAMES = {
    "tpe": "TPE",
    "random": "random search",
    "qmc": "quasi-random search (QMC)",
    "gp": "a Gaussian process",
    "cmaes": "CMA-ES",
    "nsga2": "NSGA-II",
    "halving": "successive halving",
    "median": "the median rule",
    "hyperband": "Hyperband",
}


def describe_lines(search: Search | None) -> list[str]:
    """Describe the sampler and the pruner; empty for a fixed list or a sweep of an old version."""
    if not search:
        return []
    sampler, pruner = search.sampler["name"], search.pruner["name"]
    stops = (
        "no pruner: every trial runs to its end"
        if pruner == "none"
        else f"trials stopped early by {_NAMES.get(pruner, pruner)} (--pruner {pruner})"
    )
    return [f"Chosen by {_NAMES.get(sampler, sampler)} (--sampler {sampler}); {stops}."]
