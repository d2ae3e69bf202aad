"""Summarize in what two sweeps differ as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from results.storage.reading import Sweep
from results.tables.details import DetailTable
from results.tables.summary import SummaryRow, format_plain


def summarize_differences(
    sweeps: tuple[Sweep, Sweep],
    names: tuple[str, str],
    rows: tuple[Sequence[SummaryRow], Sequence[SummaryRow]],
    differing: Sequence[str],
) -> DetailTable:
    """Return a table of the differing parameters, the origins and the work of two sweeps."""
    lines = [
        [name, *(_values(row.params.get(name) for row in r) for r in rows)] for name in differing
    ]
    ours, theirs = map(origin, sweeps)
    for what in dict.fromkeys((*ours, *theirs)):
        if ours.get(what, "-") != theirs.get(what, "-"):
            lines.append([what, ours.get(what, "-"), theirs.get(what, "-")])
    lines.append(["finished trials", *map(_work, sweeps)])
    return DetailTable(
        title=f"{sweeps[0].manifest.task}: {names[0]} and {names[1]}",
        headings=["what", *names],
        rows=lines,
        caption=[],
    )


def _values(values: Iterable[Any]) -> str:
    """Format up to four distinct values of a parameter."""
    shown = list(dict.fromkeys(format_plain(value) for value in values))
    return ", ".join(shown[:4]) + (", ..." if len(shown) > 4 else "")


def origin(sweep: Sweep) -> dict[str, str]:
    """Return everything but parameters that can affect numbers: versions, commit, hardware, ..."""
    manifest = sweep.manifest
    git = manifest.git
    facts = {
        "model": f"{manifest.model.name} ({manifest.model.fingerprint[:8]})",
        "data": f"{manifest.data.name} ({manifest.data.fingerprint[:8]})",
        "seeds": ", ".join(map(str, manifest.seeds)),
        "task version": ", ".join(sorted({str(row.get("version")) for row in sweep.rows()})),
        **{name: str(version) for name, version in manifest.versions.items()},
        "commit": f"{git.commit[:12]}{' with changes' if git.dirty else ''}" if git else "-",
        "engine": manifest.engine,
    }
    for name, value in manifest.hardware.items():
        facts[name.replace("_gib", " (GiB)")] = (
            _values(value) if isinstance(value, list) else str(value)
        )
    return {what: fact or "-" for what, fact in facts.items()}


def _work(sweep: Sweep) -> str:
    done = [row for row in sweep.current_rows() if row["status"] == "finished"]
    return f"{len(done)} in {sum(row.get('seconds') or 0.0 for row in done):.1f} s"
