"""The lists of claims in the documents. ``python tests/readme_claims.py OUT`` writes them again.

OUT must contain the default sweeps of retrieval and captioning.
"""

from __future__ import annotations

import re
import sys

from paths import ROOT

from results.render.claims_table import claims_table
from results.storage.reading import read_sweep

PAGES = {task: ROOT / "docs" / "experiments" / f"{task}.md" for task in ("retrieval", "captioning")}
HEADINGS = ("verdict", "claim", "published", "ours", "difference", "95 %")


def rows_of(out: str, task: str) -> list[list[str]]:
    """The claims of a sweep, one row per claim with the cells of ``HEADINGS``."""
    table = claims_table(read_sweep(out, task, "paper"))
    assert table is not None
    places = [table.headings.index(heading) for heading in HEADINGS]
    return [[row[place] for place in places] for row in table.rows]


def documented(task: str) -> list[list[str]]:
    """The same rows in the document."""
    lines = [line for line in _block(task).splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _block(task: str) -> str:
    """The list in the document, from its first to its last marker."""
    found = re.search(rf"<!-- claims {task} -->.*?<!-- end -->", PAGES[task].read_text(), re.S)
    assert found, f"{PAGES[task]} has no list of the claims of {task}"
    return found[0]


def write(out: str, task: str) -> None:
    """Write the claims of a sweep into its document."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows_of(out, task)]
    block = "\n".join([f"<!-- claims {task} -->", "", *lines, "", "<!-- end -->"])
    page = PAGES[task]
    page.write_text(page.read_text().replace(_block(task), block))


if __name__ == "__main__":
    for name in PAGES:
        write(sys.argv[1], name)
