"""Describe how a search chose its configurations."""

from __future__ import annotations

from results.storage.manifest_parts import Search
from results.text import listed, plural

_NAMES = {
    "tpe": "TPE",
    "random": "random search",
    "qmc": "quasi-random search (QMC)",
    "gp": "a Gaussian process",
    "cmaes": "CMA-ES",
    "nsga2": "NSGA-II",
    "auto": "OptunaHub's AutoSampler",
    "halving": "successive halving",
    "median": "the median rule",
    "hyperband": "Hyperband",
    "wilcoxon": "a Wilcoxon test over seeds",
}


def describe_lines(search: Search | None) -> list[str]:
    """Describe the sampler and the pruner; empty for a fixed list or a sweep of an old version."""
    if not search:
        return []
    sampler, pruner = search.sampler["name"], search.pruner["name"]
    cut = "seeds left out" if pruner == "wilcoxon" else "trials stopped early"
    stops = (
        "no pruner: every trial runs to its end"
        if pruner == "none"
        else f"{cut} by {_NAMES.get(pruner, pruner)} (--pruner {pruner})"
    )
    goals = [f"{name} ({direction}d)" for name, direction in search.metrics.items()]
    chosen = f"Chosen by {_NAMES.get(sampler, sampler)} (--sampler {sampler})"
    lines = [f"{chosen}{f' for {listed(goals)}' if goals else ''}; {stops}."]
    if search.learned_from:
        numbers = [f"{plural(n, 'configuration')} of {s}" for s, n in search.learned_from.items()]
        lines.append(f"The sampler learned from {listed(numbers)}.")
    return lines
