"""One chart of a page: data that Plotly draws, and what it says in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.json_values import to_json_value


@dataclass(frozen=True, kw_only=True)
class PageChart:
    """A chart for Plotly."""

    id: str  # unique on its page
    title: str
    summary: str  # what it shows, for those who do not see it
    notes: Sequence[str] = ()  # below the chart
    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]


def charts_json(charts: Sequence[PageChart]) -> str:
    """Charts as JSON that can stand in a ``script`` element; numbers that JSON lacks are null."""
    text = json.dumps(to_json_value(list(charts)), allow_nan=False)
    return text.replace("<", "\\u003c")


def escape(text: str) -> str:
    """Return text that Plotly shows as it is: it takes some tags as formatting."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a title."""
    return {"title": {"text": escape(title)}, **more}
