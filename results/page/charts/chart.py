"""One chart of a page: data that Plotly draws, and what it says in words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PageChart:
    """A chart for Plotly."""

    id: str  # unique on its page
    title: str
    summary: str  # what it shows, for those who do not see it
    notes: Sequence[str] = ()  # below the chart
    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values; numbers that JSON lacks are null."""
        found: dict[str, Any] = _plain(
            {
                "id": self.id,
                "title": self.title,
                "summary": self.summary,
                "notes": list(self.notes),
                "traces": list(self.traces),
                "layout": dict(self.layout),
            }
        )
        return found


def charts_json(charts: Sequence[PageChart]) -> str:
    """Charts as JSON that can stand in a ``script`` element."""
    text = json.dumps([chart.to_json() for chart in charts], allow_nan=False)
    return text.replace("<", "\\u003c")


def escape(text: str) -> str:
    """Return text that Plotly shows as it is: it takes some tags as formatting."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a title."""
    return {"title": {"text": escape(title)}, **more}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
