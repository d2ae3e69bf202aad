"""The command line: parse, call, print. Loads neither torch nor Ray until a sweep runs."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator import discovery
from orchestrator.export_options import Format, TableName, To
from orchestrator.params_checks import field_docs
from orchestrator.plan import describe_spaces
from tasks.contract import RequestError, SweepError

if TYPE_CHECKING:
    from orchestrator.placement import Gpus
    from results.reading import Sweep

INTERRUPTED = "interrupted; the same command goes on from the last checkpoints"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Sweeps for multimodal research: run a paper's grids and print its tables.",
)


# Typer offers only leaves of its tree of usage errors; their parent is what we catch.
_UsageError: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit status 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        discovery.check_layout()
        status = app(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except _UsageError as error:
        if not error.format_message():  # no arguments at all: the help is already printed
            sys.exit(2)
        _fail(f"{error.format_message().rstrip('.')}; see --help", 2)
    except (typer.Abort, KeyboardInterrupt):
        _fail(INTERRUPTED, 130)
    except SweepError as error:
        _fail(str(error), 2)
    except BrokenPipeError:
        sys.exit(0)


def _fail(message: str, status: int) -> None:
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(message.split()))
    print(f"error: {line}", file=sys.stderr)  # what a file's name holds must not steer a terminal
    sys.exit(status)


@app.command()
def tasks() -> None:
    """What there is: tasks, their parameters with defaults, and their spaces."""
    console = Console()
    for name in discovery.task_names():
        try:
            task, spaces = discovery.load_task(name), describe_spaces(name)
        except RequestError as error:  # of one task: the others are listed all the same
            console.print(Text.assemble((name, "bold"), ("  error: ", "red"), str(error)))
            continue
        summary = ((type(task).__doc__ or "").strip().splitlines() or ["(no docstring)"])[0]
        console.print(Text.assemble((name, "bold"), f"  {summary}"))
        console.print(
            f"  spaces {spaces}; model {task.default_model}; data {task.default_data}",
            highlight=False,
            markup=False,
        )
        table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
        helps = field_docs(task.Params)
        for field in dataclasses.fields(task.Params):
            table.add_row(field.name, str(field.default), helps.get(field.name, ""))
        console.print(table)


def _parse_seeds(text: str | int) -> int | tuple[int, ...]:
    """``3`` as it is, ``1,2`` and ``7,`` as a list of seeds."""
    listed = [part.strip() for part in str(text).removesuffix(",").split(",")]
    try:
        seeds = tuple(int(part) for part in listed)
    except ValueError:
        raise typer.BadParameter(f"it takes 3 or a list such as 1,2, but got {text!r}") from None
    return seeds if "," in str(text) else seeds[0]


@app.command()
def sweep(
    task: Annotated[list[str], typer.Argument(help="Tasks to sweep, one after the other.")],
    space: Annotated[
        str | None,
        typer.Option(
            help="paper (the default), grid, search, FILE.py, or FILE.py:grid to pick one of a "
            "file."
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Number of configurations of a search (default: 50).")
    ] = None,
    seeds: Annotated[
        Any,
        typer.Option(
            parser=_parse_seeds,
            metavar="N|LIST",
            help="Seeds of each configuration: 3 for 0, 1, 2; or a list such as 1,2 (7, for one).",
        ),
    ] = 1,
    sampler: Annotated[
        str | None,
        typer.Option(help="Sampler of a search: tpe (the default), random, qmc, nsga2."),
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(help="Pruner of a search: halving (the default), median, hyperband, none."),
    ] = None,
    engine: Annotated[str, typer.Option(help="ray, or local: in this process.")] = "ray",
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster; RAY_ADDRESS, or else this machine.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hugging Face id or folder.")] = None,
    data: Annotated[
        str | None, typer.Option(help="The data set; `tasks` shows the default.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value: fixes a parameter in every row."),
    ] = None,
    cpus_per_trial: Annotated[
        int | None, typer.Option(help="CPU cores of a slot; an equal share else.")
    ] = None,
    gpus_per_trial: Annotated[
        str, typer.Option(help="GPUs of a slot: 1, a fraction, or auto: by what a trial uses.")
    ] = "1",
    name: Annotated[str | None, typer.Option(help="The sweep's name; the space's else.")] = None,
    out: Annotated[str, typer.Option(help="Where results go: a folder or a URI.")] = "runs",
    cache: Annotated[
        str | None,
        typer.Option(
            envvar="ORCHESTRATOR_CACHE",
            help="Keep costly shared stages here for later sweeps: a folder or a URI.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="To spend: 90s, 30m, 2h, or 20trials. Then the table so far."),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(help="A step or shared stage that takes longer has failed: 90s, 10m."),
    ] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run finished trials again.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run failed trials again.")
    ] = False,
    all_rows: Annotated[
        bool, typer.Option("--all", help="Print every configuration, not only the best 25.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every trial and stage, run nothing.")
    ] = False,
) -> int:
    """Run a task's sweep and print its tables. The same command again goes on where it stopped."""
    from orchestrator.sweep import Request, make_plan, print_plan, run_sweep

    seconds, most = parse_budget(budget)
    of_search = {"trials": trials, "sampler": sampler, "pruner": pruner}
    given: dict[str, Any] = {k: v for k, v in of_search.items() if v is not None}
    plans = [
        make_plan(
            Request(
                task=each,
                space=space,
                seeds=seeds,
                **given,
                given=given,
                engine=engine,
                address=address,
                model=model,
                data=data,
                settings=tuple(set_ or ()),
                cpus_per_trial=cpus_per_trial,
                gpus_per_trial=parse_gpus(gpus_per_trial),
                name=name,
                out=out,
                cache=cache,
                budget=seconds,
                budget_trials=most,
                deadline=parse_duration("--deadline", deadline),
                rerun=rerun,
                retry_failed=retry_failed,
                dry_run=dry_run,
                all_rows=all_rows,
            )
        )
        for each in dict.fromkeys(task)
    ]
    status = 0
    try:
        for plan in plans:
            if dry_run:
                print_plan(plan, Console())
            else:
                status = max(status, run_sweep(plan))
            if status == 130:
                break
    except KeyboardInterrupt:  # the second one: typer would end without a word
        _fail(INTERRUPTED, 130)
    return status


def parse_budget(text: str | None) -> tuple[float | None, int | None]:
    """``90s``, ``30m``, ``2h`` as seconds, or ``20trials`` as their number."""
    match = re.fullmatch(r"\s*(\d+)\s*trials?\s*", text or "")
    if match is None:
        return parse_duration("--budget", text, " or a number such as 20trials"), None
    if int(match[1]) == 0:
        raise RequestError(f"--budget must be at least 1 trial, but is {text!r}")
    return None, int(match[1])


def parse_gpus(text: str) -> Gpus:
    """A number, or auto."""
    if text.strip() == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise RequestError(f"--gpus-per-trial takes a number or auto, but got {text!r}") from None


def parse_duration(option: str, text: str | None, others: str = "") -> float | None:
    """``90s``, ``30m``, ``2h`` in seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if match is None or float(match[1]) == 0:
        raise RequestError(
            f"{option} takes a time such as 90s, 30m or 2h{others}, but got {text!r}"
        )
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


@app.command()
def report(
    name: Annotated[list[str] | None, typer.Argument(help="Sweeps; all of them if none.")] = None,
    task: Annotated[str | None, typer.Option(help="Only sweeps of this task.")] = None,
    all_rows: Annotated[
        bool, typer.Option("--all", help="Show every configuration, not only the best 25.")
    ] = False,
    out: Annotated[str, typer.Option(help="Where the results are.")] = "runs",
    format_: Format = "terminal",
    to: To = None,
    table: TableName = None,
    hide_published: Annotated[
        bool, typer.Option("--hide-published", help="Leave out published numbers and claims.")
    ] = False,
) -> int:
    """Print the tables of finished and running sweeps, or write them with --to."""
    from orchestrator.export import check_options, export
    from results.export import sweep_document
    from results.summary import MAX_ROWS
    from results.tables import render

    check_options(format_, to, table)
    most = None if all_rows else MAX_ROWS
    sweeps = _find_sweeps(out, task, name or ())
    if format_ == "terminal":
        console = Console()
        rendered = [
            render(one, most, published=not hide_published) for one in sweeps
        ]  # all of them, or one line on what is wrong
        for one, tables_ in zip(sweeps, rendered, strict=True):
            console.rule(f"{one.manifest['task']}: {one.manifest['name']}", style="dim")
            console.print(tables_)
    else:
        documents = [sweep_document(one, most, published=not hide_published) for one in sweeps]
        export(documents, format_, to=to, table=table)
    return 0


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A sweep: NAME, TASK/NAME or OUT/TASK/NAME.")],
    second: Annotated[str, typer.Argument(help="Another, or the same in another folder.")],
    task: Annotated[str | None, typer.Option(help="Of this task, where names are alike.")] = None,
    out: Annotated[str, typer.Option(help="Where the results are.")] = "runs",
    format_: Format = "terminal",
    to: To = None,
    table: TableName = None,
) -> int:
    """Two sweeps of one task side by side, with what is beyond chance."""
    from orchestrator.export import check_options, export
    from results.compare import compare as compare_sweeps
    from results.compare_view import render_comparison
    from results.export import make_document

    check_options(format_, to, table)
    sweeps = [_find_sweep(name, task, out) for name in (first, second)]
    names = [str(sweep.manifest["name"]) for sweep in sweeps]
    shown = (first, second) if names[0] == names[1] else (names[0], names[1])
    tables = compare_sweeps(sweeps[0], sweeps[1], shown)
    if format_ == "terminal":
        Console().print(render_comparison(*tables))
    else:
        named = zip(("sweeps", "configurations"), tables, strict=True)
        both = "-and-".join(str(sweep.manifest["name"]) for sweep in sweeps)
        document = make_document(sweeps[0].manifest["task"], both, list(named))
        export([document], format_, to=to, table=table)
    return 0


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A sweep: NAME, TASK/NAME or OUT/TASK/NAME.")],
    against: Annotated[
        str | None, typer.Option(help="Another sweep: compare all metrics and samples instead.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Also fail on undecided and untested claims.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(help="With --against: difference of equal numbers, also relative.")
    ] = 1e-6,
    task: Annotated[str | None, typer.Option(help="Task, if the name is ambiguous.")] = None,
    out: Annotated[str, typer.Option(help="Where the results are.")] = "runs",
    format_: Format = "terminal",
    to: To = None,
    table: TableName = None,
) -> int:
    """Test the paper's claims: exit 0 if none is contradicted, else 1."""
    from orchestrator.check import check_against, check_sweep
    from orchestrator.export import check_options

    check_options(format_, to, table)
    if not 0 <= tolerance < 1:
        raise RequestError(f"--tolerance must be at least 0 and below 1, but is {tolerance:g}")
    if strict and against is not None:
        raise RequestError("--strict is about claims, --against compares cells; remove one of them")
    sweep = _find_sweep(name, task, out)
    if against is None:
        return check_sweep(sweep, strict=strict, format_=format_, to=to, table=table)
    other = _find_sweep(against, task, out)
    names = (str(sweep.manifest["name"]), str(other.manifest["name"]))
    shown = (name, against) if names[0] == names[1] else names
    return check_against(
        sweep, other, shown, tolerance=tolerance, format_=format_, to=to, table=table
    )


def _find_sweep(text: str, task: str | None, out: str) -> Sweep:
    """The one sweep of NAME, TASK/NAME or OUT/TASK/NAME."""
    *above, name = text.rstrip("/").rsplit("/", 2)
    if above:
        task = above[-1]
    if len(above) == 2:
        out = above[0] or "/"
    found = _find_sweeps(out, task, [name])
    if len(found) > 1:
        tasks_ = ", ".join(str(one.manifest["task"]) for one in found)
        raise RequestError(f"{name!r} is a sweep of {tasks_}: say which with --task")
    return found[0]


def _find_sweeps(out: str, task: str | None, names: Sequence[str]) -> list[Sweep]:
    """The sweeps of these names, or all; RequestError where there is none."""
    from orchestrator.plan import ALIASES
    from results.reading import find_sweeps, read_sweep
    from results.roots import redact

    known = find_sweeps(out, task)
    there = {each for _, each in known}
    names = [name if name in there else ALIASES.get(name, name) for name in names]
    if not known:
        of = f" of {task}" if task else ""
        raise RequestError(
            f"no sweeps{of} under {redact(out)}; run `python -m orchestrator sweep TASK` first"
        )
    for name in names:
        if name not in {each for _, each in known}:
            near = discovery.suggest(name, sorted({each for _, each in known}))
            raise RequestError(f"no sweep named {name!r} under {redact(out)}; {near}")
    return [read_sweep(out, *found) for found in known if not names or found[1] in names]


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A sweep.")],
    trial: Annotated[
        str | None, typer.Argument(help="One of its trials: its id, or how it begins.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Of this task, where names are alike.")] = None,
    out: Annotated[str, typer.Option(help="Where the results are.")] = "runs",
    save: Annotated[
        str | None, typer.Option(help="Write the curves to FILE.png or FILE.svg.")
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(help="Write a trial's pictures to FILE.png, a contact sheet.")
    ] = None,
) -> int:
    """One sweep's origin and trials, or one trial's parameters, curve and samples."""
    from orchestrator.show import show as show_sweep

    show_sweep(_find_sweep(name, task, out), trial, save=save, pictures=pictures)
    return 0


@app.command()
def doctor(
    task: Annotated[str | None, typer.Argument(help="Also whether this task can run.")] = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster; RAY_ADDRESS, or else this machine.")
    ] = None,
    out: Annotated[str, typer.Option(help="Where results are to go: a folder or a URI.")] = "runs",
    model: Annotated[str | None, typer.Option(help="Hugging Face id or folder.")] = None,
    data: Annotated[str | None, typer.Option(help="The data set.")] = None,
    gpus_per_trial: Annotated[
        str, typer.Option(help="GPUs of a slot: 1, a fraction, or auto: by what a trial uses.")
    ] = "1",
    cpus_per_trial: Annotated[
        int | None, typer.Option(help="CPU cores of a slot; an equal share else.")
    ] = None,
) -> int:
    """What this machine and cluster can run, and what is wrong with it."""
    from orchestrator.doctor import examine
    from orchestrator.findings import render_findings
    from orchestrator.sweep import Request

    request = Request(
        task=task or "",
        address=address,
        out=out,
        model=model,
        data=data,
        gpus_per_trial=parse_gpus(gpus_per_trial),
        cpus_per_trial=cpus_per_trial,
    )
    findings = examine(task, request)
    Console().print(render_findings(findings))
    return int(any(finding.verdict == "wrong" for finding in findings))


@app.command()
def check_task(
    task: Annotated[str, typer.Argument(help="A task, such as one that you are writing.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value: fixes a parameter in every trial."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hugging Face id or folder.")] = None,
    data: Annotated[str | None, typer.Option(help="The data set; a small one is enough.")] = None,
) -> int:
    """Test whether a task keeps the contract: exit 0 if it does, else 1. Writes nothing."""
    from orchestrator.check_task import check_task as run_checks

    return run_checks(task, settings=set_ or (), model=model, data=data)
