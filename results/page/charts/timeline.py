"""When each trial ran, and on which worker."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from results.figures.charts import short_id
from results.page.charts.chart import PageChart, axis, escape
from results.storage.schema import STATUSES
from results.tables.trials import trial_status
from results.text import plural

MAX_TRIALS = 2000  # the last ones


def timeline_chart(rows: Sequence[Mapping[str, Any]]) -> list[PageChart]:
    """Return a chart with a bar for each trial that ran here, without overlap."""
    ran = [row for row in rows if _is_timed(row) and not row.get("reused_from")]
    ran = sorted(ran, key=lambda row: row["started"])[-MAX_TRIALS:]
    if not ran:
        return []
    lanes, workers = worker_lanes(ran)
    traces = []
    for number, status in enumerate(STATUSES):
        members = [
            (row, lane) for row, lane in zip(ran, lanes, strict=True) if row["status"] == status
        ]
        if members:
            traces.append(_bars(status, number, members))
    num_lanes = max(lanes) + 1
    busiest = max(assign_lanes([(row["started"], row["ended"]) for row in ran])) + 1
    begin, end = min(row["started"] for row in ran), max(row["ended"] for row in ran)
    return [
        PageChart(
            id="timeline",
            title="Timeline",
            summary=f"{plural(len(ran), 'trial')} from {begin:%Y-%m-%d %H:%M} to "
            f"{end:%Y-%m-%d %H:%M} UTC on {plural(len(workers), 'worker')}, at most {busiest} at a "
            "time.",
            notes=[
                "A bar spans a trial from its first step to its end. Trials of one lane do not "
                "overlap; several trials of one worker run at a time if they share a pack."
            ],
            traces=traces,
            layout={
                "barmode": "overlay",
                "xaxis": axis("time (UTC)", type="date"),
                "yaxis": axis(
                    "worker",
                    tickmode="array",
                    tickvals=[lane + 1 for lane in workers.values()],
                    ticktext=[escape(name) for name in workers],
                    autorange="reversed",
                ),
                "showlegend": len(traces) > 1,
                "hovermode": "closest",
                "height": min(600, 170 + 16 * num_lanes),
            },
        )
    ]


def worker_lanes(rows: Sequence[Mapping[str, Any]]) -> tuple[list[int], dict[str, int]]:
    """Return the lane of each trial, and the first lane of each worker by its name.

    Args:
        rows: trials, sorted by their start. Those of earlier versions have no worker.
    """
    names = _short_names([row.get("worker") or "" for row in rows])
    lanes, first, above = [0] * len(rows), {}, 0
    for name in dict.fromkeys(names):
        places = [place for place, each in enumerate(names) if each == name]
        own = assign_lanes([(rows[place]["started"], rows[place]["ended"]) for place in places])
        for place, lane in zip(places, own, strict=True):
            lanes[place] = above + lane
        first[name] = above
        above += max(own) + 1
    return lanes, first


def _short_names(workers: Sequence[str]) -> list[str]:
    """Return ``pid 12``, after the host if there are several, for each ``host:pid``.

    Those of an archive are ``worker 1`` and so on.
    """
    hosts = {worker.rpartition(":")[0] for worker in workers if ":" in worker}
    names = []
    for worker in workers:
        host, colon, pid = worker.rpartition(":")
        name = f"{host} pid {pid}" if len(hosts) > 1 else f"pid {pid}"
        names.append(name if colon else worker or "unknown")
    return names


def assign_lanes(spans: Sequence[tuple[datetime, datetime]]) -> list[int]:
    """Return the number of a lane for each span, so that spans of one lane do not overlap.

    Args:
        spans: beginning and end of each, sorted by the beginnings.

    Returns:
        As few lanes as possible, numbered from 0.
    """
    free: list[int] = []
    busy: list[tuple[datetime, int]] = []
    lanes = []
    for begin, end in spans:
        while busy and busy[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (max(begin, end), lane))
        lanes.append(lane)
    return lanes


def _is_timed(row: Mapping[str, Any]) -> bool:
    return row.get("started") is not None and row.get("ended") is not None


def _bars(
    status: str, number: int, members: Sequence[tuple[Mapping[str, Any], int]]
) -> dict[str, Any]:
    milliseconds = [1000 * (row["ended"] - row["started"]).total_seconds() for row, _ in members]
    return {
        "type": "bar",
        "orientation": "h",
        "name": status,
        "base": [row["started"].strftime("%Y-%m-%d %H:%M:%S.%f") for row, _ in members],
        "x": [max(1.0, each) for each in milliseconds],
        "y": [lane + 1 for _, lane in members],
        "text": [
            f"{short_id(row)}, {trial_status(row)}, {each / 1000:.1f} s"
            for (row, _), each in zip(members, milliseconds, strict=True)
        ],
        "textposition": "none",
        "width": 0.8,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"line": {"width": 0.5}},
        "meta": {"color": number},
    }
