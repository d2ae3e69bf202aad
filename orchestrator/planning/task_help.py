"""The output of ``tasks TASK``: metric, spaces, model, data, paper and parameters of a task."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from orchestrator.planning.params import param_types
from orchestrator.planning.params_checks import field_docs
from orchestrator.planning.spaces import KINDS, resolve_space
from results.text import plural
from tasks.contract import SweepError, Task

#: A range at the end of a parameter's docstring: ``>= 1``, ``0 to below 1``, ``> 0; 1 is none``.
_RANGE = re.compile(
    r"(?:[<>]=? [\w.]+(?:,? and [^.]*)?|[\w.-]+ to (?:below )?[\w.]+)(?:; [^.]*)?", re.A
)
_TYPES = {float: "number", int: "integer", bool: "true or false", str: "text"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """A parameter as ``tasks TASK`` describes it."""

    name: str
    default: str
    allowed: str  # "number > 0", "pretrained or random", "integer >= 1, or none"
    meaning: str


def parameters(params: type[Any]) -> list[Parameter]:
    """Describe the fields of a task's ``Params`` by their types, defaults and docstrings."""
    docs, hints = field_docs(params), typing.get_type_hints(params)
    types = param_types(params)
    found = []
    for field in dataclasses.fields(params):
        meaning, limits = split_range(docs.get(field.name, "").replace("``", "`"))
        kind, optional = types[field.name]
        choices = [str(each) for each in _choices(hints[field.name])]
        allowed = (
            _either(choices) if choices else f"{_TYPES.get(kind, kind.__name__)} {_limits(limits)}"
        )
        found.append(
            Parameter(
                name=field.name,
                default=_show(field.default),
                allowed=allowed.strip() + (", or none" if optional else ""),
                meaning=meaning,
            )
        )
    return found


def split_range(doc: str) -> tuple[str, str]:
    """Split a docstring into its text and the range of values at its end."""
    head, _, last = doc.rstrip().removesuffix(".").rpartition(". ")
    if not _RANGE.fullmatch(last):
        return doc, ""
    return (f"{head}." if head else ""), last


def _limits(text: str) -> str:
    return f"from {text}" if re.match(r"\S+ to ", text) else text


def _choices(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    inner = [_choices(each) for each in typing.get_args(hint)]
    return next((each for each in inner if each), ())


def _either(values: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(values[:-1]), values[-1])))


def _show(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if value and value == value.strip() else f'"{value}"'
    return re.sub(r"e-0?(\d)", r"e-\1", str(value))


def summary_of(task: Task) -> str:
    """Return the first line of a task's docstring."""
    return (type(task).__doc__ or "").strip().partition("\n")[0]


def describe_spaces(name: str, module: Any) -> list[tuple[str, str]]:
    """Return (space, description) of every space that a task's module defines."""
    found = []
    for kind, attribute in KINDS.items():
        if not hasattr(module, attribute):
            continue
        try:
            space = resolve_space(name, kind)
        except SweepError as error:
            found.append((kind, f"cannot be used: {error}"))
            continue
        rows = sum(len(table.rows) for table in space.tables)
        if space.search is not None:
            found.append((kind, (space.search.__doc__ or "").strip().partition("\n")[0]))
        elif space.is_report:
            found.append((kind, f"{plural(rows, 'row')} in {plural(len(space.tables), 'table')}"))
        else:
            found.append((kind, plural(rows, "configuration")))
    return found


class TaskView:
    """Renders everything about a task, readable at 80 columns."""

    def __init__(self, task: Task, space: Any) -> None:
        self._task, self._space = task, space

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        task = self._task
        title = Text.assemble((task.name, "bold"), f"  {summary_of(task)}")
        title.no_wrap = False
        yield title
        yield Text()
        for label, lines in self._facts():
            yield from _labelled(label, lines, options.max_width)
        yield Text()
        yield Text("parameters (--set NAME=VALUE)", style="bold")
        for each in parameters(task.Params):
            head = Text.assemble("  ", (each.name, "bold"), f"  {each.allowed}")
            yield head.append(f"  (default: {each.default})", style="dim")
            for line in textwrap.wrap(each.meaning, min(options.max_width, 100) - 6):
                yield Text(f"      {line}", style="dim")

    def _facts(self) -> Iterator[tuple[str, list[str]]]:
        task = self._task
        metric = task.metric
        yield "metric", [f"{metric.label} ({metric.name}), {metric.direction}d"]
        others = [
            column.label
            for column in task.columns
            if column.key.startswith("metric.")
            and column.key != f"metric.{metric.name}"
            and not column.detail
        ]
        if others:
            yield "also", [", ".join(others)]
        if self._space is not None:
            spaces = describe_spaces(task.name, self._space)
            yield "spaces", [f"{name}: {what}".rstrip(": ") for name, what in spaces]
        yield "model", _source(task.default_model, task.model_forms)
        yield "data", _source(task.default_data, task.data_forms)
        published = getattr(self._space, "PUBLISHED", None)
        if published is not None:
            paper = getattr(published, "paper", "")
            facts = {"model": published.model, "data": published.data}
            yield "paper", [*([paper] if paper else []), *(f"{k}: {v}" for k, v in facts.items())]


def _source(default: str, forms: str) -> list[str]:
    return [f"default: {default}", *([forms] if forms else [])]


def _labelled(label: str, lines: Sequence[str], width: int) -> Iterator[Text]:
    """Yield lines next to a label, with continued lines indented."""
    for index, line in enumerate(lines):
        first = f"  {label if index == 0 else '':<8}"
        wrapped = textwrap.wrap(line, max(20, min(width, 100) - 12), break_on_hyphens=False)
        for number, part in enumerate(wrapped):
            lead = first if number == 0 else " " * 12
            yield Text.assemble((lead, "bold" if number == 0 else ""), part)
