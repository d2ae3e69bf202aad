"""One sweep, or one trial of it, in detail."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from results.charts import Chart, trial_charts
from results.figures import terminal_chart
from results.pictures import half_blocks
from results.reading import Sweep, check_keys
from results.summary import format_plain, format_value
from tasks.contract import RequestError

ORIGIN: dict[str, Any] = {  # what ``sweep.json`` says of where a sweep comes from
    "params": dict,
    "command": list,
    "started": str,
    "seconds": (int, float),
    "engine": str,
    "versions": dict,
    "hardware": dict,
}
MAX_SAMPLES = 8
MAX_TRIALS = 200
PICTURE_SIDE = 14  # columns


def find_trial(sweep: Sweep, prefix: str, listing: str = "`show`") -> Mapping[str, Any]:
    """The trial whose id starts so.

    Args:
        sweep: the sweep.
        prefix: how the id starts.
        listing: the command that lists the sweep's trials, for the error.

    Raises:
        RequestError: if none or several do.
    """
    found = [row for row in sweep.rows() if row["trial_id"].startswith(prefix)]
    if len(found) == 1:
        return found[0]
    name = sweep.manifest["name"]
    if found:
        ids = ", ".join(row["trial_id"] for row in found[:5])
        raise RequestError(f"{prefix!r} begins several trials of {name}: {ids}; type more of it")
    raise RequestError(f"{name} has no trial {prefix!r}; {listing} lists them")


def render_sweep(sweep: Sweep) -> RenderableType:
    """Where a sweep comes from, and every trial of it."""
    manifest = sweep.manifest
    check_keys(sweep.path, manifest, ORIGIN)
    git = manifest.get("git") or {}
    commit = f"{git['commit'][:12]}{' with changes' if git.get('dirty') else ''}" if git else "-"
    versions = ", ".join(f"{name} {v}" for name, v in manifest["versions"].items() if v)
    hardware = ", ".join(f"{name} {v}" for name, v in manifest["hardware"].items() if v)
    facts = {
        "command": " ".join(manifest["command"]),
        "started": f"{manifest['started'][:19].replace('T', ' ')} UTC, "
        f"{manifest['seconds']:.0f} s on {manifest['engine']}",
        "model": f"{manifest['model']['name']} ({manifest['model']['fingerprint']})",
        "data": f"{manifest['data']['name']} ({manifest['data']['fingerprint']})",
        "commit": commit,
        "versions": versions,
        "hardware": hardware,
    }
    rows = sweep.rows()
    shown = _facts(facts)
    hidden = len(rows) - MAX_TRIALS
    parts: list[RenderableType] = [shown, Text(), _trials(rows[:MAX_TRIALS], manifest)]
    if hidden > 0:
        parts.append(Text(f"{hidden} further trials are in {sweep.path}/trials.", style="dim"))
    return Group(*parts)


def _facts(facts: Mapping[str, str]) -> Table:
    view = Table.grid(padding=(0, 2))
    view.add_column(style="dim", no_wrap=True)
    view.add_column(overflow="fold")
    for name, value in facts.items():
        view.add_row(name, Text(value))
    return view


def _trials(rows: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> Table:
    names = [name for name in manifest["params"] if len({r[f"param.{name}"] for r in rows}) > 1]
    main = _main_column(manifest)
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    view.add_column("trial", no_wrap=True)
    for name in names:
        view.add_column(name.replace("_", "\n"), justify="right")
    for label in ("seed", "status", main["label"].replace(" ", "\n", 1), "s"):
        view.add_column(label, justify="left" if label == "status" else "right", no_wrap=True)
    for row in rows:
        view.add_row(
            row["trial_id"][:8],
            *(format_plain(row[f"param.{name}"]) for name in names),
            str(row["seed"]),
            row["status"] + (" (reused)" if row["reused_from"] else ""),
            format_value(row.get(main["key"]), main["format"]),
            f"{row['seconds']:.1f}",
        )
    return view


def _main_column(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    key = f"metric.{manifest['metric']['name']}"
    return next(column for column in manifest["columns"] if column["key"] == key)


def render_trial(sweep: Sweep, trial: Mapping[str, Any]) -> RenderableType:
    """A trial's parameters, its curve, what it said, and why it failed if it did."""
    took = f"{trial['seconds']:.1f} s, {trial['num_steps']} steps"
    facts = {
        "trial": trial["trial_id"],
        "status": f"{trial['status']} ({took})",
        "computed in": trial["reused_from"] or f"{sweep.manifest['task']}/{sweep.manifest['name']}",
        "model": f"{trial['model']} ({trial['model_fingerprint']})",
        "data": f"{trial['data']} ({trial['data_fingerprint']})",
        "seed": str(trial["seed"]),
    }
    params = [f"{n} {format_plain(trial[f'param.{n}'])}" for n in sweep.manifest["params"]]
    facts["parameters"] = ", ".join(params)
    parts: list[RenderableType] = [_facts(facts)]
    if trial["status"] == "failed":
        parts += [Text(), Text(trial["reason"] or "", style="bold red"), Text(trial["log"] or "")]
    steps = sweep.steps_of(trial["trial_id"])
    if steps:
        parts += [Text(), _Steps(steps, sweep.manifest)]
    for chart in trial_charts(sweep, trial):
        parts += [Text(), _Chart(chart)]
    samples = _samples(sweep, trial)
    if samples is not None:
        parts += [Text(), samples]
    return Group(*parts)


class _Chart:
    """A chart as wide as its console, up to 100 columns."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield terminal_chart(self._chart, min(options.max_width, 100))


class _Steps:
    """The steps of a trial with as many metrics as fit; what the last step alone has, below."""

    def __init__(self, steps: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> None:
        self._columns = {column["key"]: column for column in manifest["columns"]}
        self._steps = steps
        told = {
            name: sum(row[name] is not None for row in steps)
            for name in steps[0]
            if name.startswith("metric.")
        }
        main = f"metric.{manifest['metric']['name']}"
        often = [n for n, number in told.items() if number > 1 or (number and len(steps) == 1)]
        self._often = sorted(often, key=lambda name: name != main)
        self._last = [name for name, number in told.items() if number and name not in often]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        number, view = 0, self._table([])
        for number in range(len(self._often), 0, -1):
            view = self._table(self._often[:number])
            wanted = Measurement.get(console, options.update(width=10_000), view).maximum
            if number == 1 or wanted <= options.max_width:
                break
        yield view
        final = [*self._often[number:], *self._last]
        if final:
            cells = [f"{self._label(n)} {self._cell(self._steps[-1], n)}" for n in final]
            yield Text(f"At the end also: {', '.join(cells)}.")

    def _label(self, name: str) -> str:
        return str(self._columns.get(name, {}).get("label", name.removeprefix("metric.")))

    def _cell(self, row: Mapping[str, Any], name: str) -> str:
        return format_value(row[name], self._columns.get(name, {}).get("format", "number"))

    def _table(self, names: Sequence[str]) -> Table:
        view = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        view.add_column("step", justify="right", no_wrap=True)
        for name in names:
            view.add_column(self._label(name).replace(" ", "\n"), justify="right", no_wrap=True)
        view.add_column("s", justify="right", no_wrap=True)
        rows = list(self._steps)
        if len(rows) > 24:  # the first ones, where most happens, and then some
            stride = math.ceil(len(rows) / 16)
            kept = {*range(4), *range(len(rows) - 1, 3, -stride)}
            rows = [row for index, row in enumerate(rows) if index in kept]
        for row in rows:
            cells = [self._cell(row, name) for name in names]
            view.add_row(str(row["at"]), *cells, f"{row['seconds']:.2f}")
        return view


def _samples(sweep: Sweep, trial: Mapping[str, Any]) -> RenderableType | None:
    if not sweep.samples.num_rows:
        return None
    found = sweep.samples.filter(pc.equal(sweep.samples["trial_id"], trial["trial_id"]))
    if not found.num_rows:
        return None
    groups = pictures_of(sweep, trial)
    if groups:
        return _Pictures(groups)
    names = sweep.manifest.get("shown_samples") or found.column_names
    names = [n for n in names if n not in ("trial_id", "seed")]
    names = [n for n in names if found[n].null_count < found.num_rows]
    ranked = pa.types.is_floating(found[names[0]].type) and found.num_rows > MAX_SAMPLES
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in names:
        view.add_column(name.replace("_", " "), overflow="fold")
    if ranked:
        found = found.sort_by([(names[0], "descending")])
        half = MAX_SAMPLES // 2
        parts = [found.slice(0, half), found.slice(found.num_rows - half, half)]
    else:
        parts = [found.slice(0, MAX_SAMPLES)]
    for part in parts:
        for row in part.to_pylist():
            view.add_row(*(_sample_text(row[name]) for name in names))
        view.add_section()
    rest = found.num_rows - MAX_SAMPLES
    which = f"the best and the worst by {names[0]}; " if ranked else ""
    more = Text(f"{which}{rest} further samples are in {sweep.path}/samples", style="dim")
    return Group(view, more) if rest > 0 else view


def pictures_of(sweep: Sweep, trial: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """A trial's pictures (PNG) by the first column that ``show`` prints; none for other tasks."""
    shown = list(sweep.manifest.get("shown_samples") or [])
    if "picture" not in shown or not sweep.samples.num_rows:
        return {}
    found = sweep.samples.filter(pc.equal(sweep.samples["trial_id"], trial["trial_id"]))
    groups: dict[str, list[bytes]] = {}
    for row in found.select([shown[0], "picture"]).to_pylist():
        groups.setdefault(row[shown[0]], []).append(row["picture"])
    return groups


class _Pictures:
    """A line of pictures per group, as many as the console has room for."""

    def __init__(self, groups: Mapping[str, Sequence[bytes]]) -> None:
        self._groups = groups

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        number = max(1, min(8, options.max_width // (PICTURE_SIDE + 1)))
        if console.color_system is None:
            yield Text("Pictures need a terminal with colours; --pictures FILE.png writes them.")
            return
        for name, pictures in self._groups.items():
            yield Text(f"{name}: the mean, then samples")
            yield half_blocks(pictures[:number], PICTURE_SIDE)


def _sample_text(value: Any) -> Text:
    if isinstance(value, list):
        return Text(" / ".join(map(str, value)))
    if isinstance(value, bytes):
        return Text(f"{len(value)} bytes")
    return Text(f"{value:.3f}" if isinstance(value, float) else str(value))
