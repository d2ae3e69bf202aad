"""Two or more sweeps of one task beside each other, each beside the first."""

from __future__ import annotations

from collections.abc import Sequence

from results.compare.sweeps import compare
from results.page.html import fill
from results.page.links import Links
from results.page.table import PageTable, page_table
from results.render.sweep_tables import shared_work
from results.storage.reading import Sweep
from results.storage.weights import describe_weights


def compare_page(sweeps: Sequence[Sweep], links: Links, version: str = "") -> str:
    """Return the page of a comparison of at least two sweeps.

    Raises:
        RequestError: if they are of several tasks, or one has no trials.
    """
    names = [sweep.manifest.name for sweep in sweeps]
    first, *others = sweeps
    parts: list[tuple[str, list[PageTable]]] = []
    for other in others:
        found = compare(first, other, (first.manifest.name, other.manifest.name))
        title = f"{first.manifest.name} and {other.manifest.name}"
        parts.append((title, [page_table(table) for table in found]))
    saved = [
        (one.manifest.full_name, shared_work(one) or "No shared work.", describe_weights(one, None))
        for one in sweeps
    ]
    addresses = [links.sweep(one.manifest.task, one.manifest.name) for one in sweeps]
    return fill(
        "compare.html",
        task=first.manifest.task,
        sweeps=list(zip(names, addresses, strict=True)),
        parts_=parts,
        saved=saved,
        links=links,
        version=version,
    )
