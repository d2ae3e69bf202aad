"""``export``: write a trial's model to a folder, and upload it to the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results, SweepName, Task
from orchestrator.planning.stored_sweeps import command, find_sweep
from results.text import plural, print_line, size_text
from tasks.contract import RequestError


def export(
    name: SweepName,
    first: Annotated[
        str,
        typer.Argument(
            metavar="TRIAL|DIR",
            help="Trial, if DIR follows: its id or a unique prefix (default: the first seed of "
            "the best row). Otherwise the folder to write.",
        ),
    ],
    second: Annotated[str | None, typer.Argument(metavar="DIR", help="Folder to write.")] = None,
    task: Task = None,
    out: Results = "runs",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export in DIR.")
    ] = False,
    push_to_hub: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Upload the export to this Hugging Face Hub repository."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private if it is new.")
    ] = False,
    json_: Json = False,
) -> int | Outcome:
    """Export a trial's model, with a model card.

    The exported model runs without this project.
    """
    from orchestrator.sharing import hub
    from orchestrator.sharing.model_export import export_model

    if private and push_to_hub is None:
        raise RequestError("--private requires --push-to-hub ID")
    if push_to_hub is not None:
        hub.check_push(push_to_hub)
    trial, directory = (None, first) if second is None else (first, second)
    given = ["--task", task] if task else []
    exported = export_model(
        find_sweep(name, task, out),
        trial,
        directory,
        overwrite=overwrite,
        listing=command("show", name, *given, out=out),
    )
    chosen, console = exported.selection, Console()
    which = ", the first seed of the best row" if chosen.is_best else ""
    print_line(
        console,
        f"Exported trial {chosen.trial['trial_id']} (seed {chosen.trial['seed']}{which}) to "
        f"{directory}: {plural(exported.num_files, 'file')}, {size_text(exported.num_bytes)}. "
        "README.md explains how to use it.",
    )
    if exported.untrained:
        print_line(console, exported.untrained)
    address = None
    if push_to_hub is not None:
        address = hub.push_to_hub(exported.folder, push_to_hub, private=private)
        print_line(console, f"Uploaded to {address}.")
    if not json_:
        return 0
    return Outcome(
        fields={
            "folder": directory,
            "trial_id": chosen.trial["trial_id"],
            "seed": chosen.trial["seed"],
            "is_best": chosen.is_best,
            "num_files": exported.num_files,
            "num_bytes": exported.num_bytes,
            "is_trained": not exported.untrained,
            "uploaded_to": address,
        }
    )
