"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.completion import complete_engine, complete_sweep, complete_task

SweepName = Annotated[
    str,
    typer.Argument(help="Sweep: NAME, TASK/NAME or OUT/TASK/NAME.", autocompletion=complete_sweep),
]
Task = Annotated[
    str | None,
    typer.Option(help="Task, if the name is ambiguous.", autocompletion=complete_task),
]
Results = Annotated[str, typer.Option("--out", help="Folder or URI that holds the results.")]
Out = Annotated[str, typer.Option(help="Folder or URI for the results.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Output format: markdown, latex, latex-siunitx, csv, json, html, or terminal "
        "(default: by the suffix of --to, otherwise terminal).",
    ),
]
To = Annotated[
    str | None,
    typer.Option(help="Write to this file or folder instead of printing."),
]
TableName = Annotated[
    str | None,
    typer.Option("--table", help="With --format: write only this table, by number or name."),
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION", help="Show only rows for which this holds, such as 'lr < 1e-3'."
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="Sort by these columns, such as lr,-metric.r1 (- is descending)."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Show these columns, such as lr,metric.r1."),
]
Limit = Annotated[int | None, typer.Option(metavar="N", help="Show only the first N rows.")]
AllRows = Annotated[
    bool, typer.Option("--all", help="Show every configuration, not only the best 25.")
]
HidePublished = Annotated[
    bool, typer.Option("--hide-published", help="Leave out published numbers and claims.")
]
Model = Annotated[
    str | None, typer.Option(help="Hugging Face id or folder (default: `tasks TASK` shows it).")
]
Data = Annotated[
    str | None,
    typer.Option(help="Data set, such as folder:DIR (`tasks TASK` shows the default)."),
]
RecordedModel = Annotated[
    str | None, typer.Option("--model", help="Hugging Face id or folder (default: as recorded).")
]
RecordedData = Annotated[
    str | None, typer.Option("--data", help="Data set, such as folder:DIR (default: as recorded).")
]
Engine = Annotated[
    str,
    typer.Option(help="Engine: ray, or local (single process).", autocompletion=complete_engine),
]
Address = Annotated[
    str | None,
    typer.Option(help="Ray address (default: $RAY_ADDRESS, otherwise a local Ray)."),
]
CpusPerTrial = Annotated[
    int | None, typer.Option(help="CPU cores per worker (default: split evenly).")
]
GpusPerTrial = Annotated[
    str,
    typer.Option(
        help="GPUs per worker: 1, a fraction, auto (choose from measured memory), or more for "
        "trials that run on several GPUs (retrieval with trainable=full or lora)."
    ),
]
CheckpointInterval = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Time between two checkpoints of a trial (default: 5s; 0s for every step). A killed "
        "process loses the steps after its last checkpoint; Ctrl-C loses no finished step.",
    ),
]
