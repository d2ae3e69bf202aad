"""Write the model card of an exported trial: ``README.md`` for the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from results.export.as_markdown import escape, to_markdown
from results.export.card_scores import scores_table
from results.export.document import make_document
from results.render.claims_table import claims_table
from results.storage.reading import Sweep
from results.tables.cell_text import heading
from results.tables.details import DetailTable
from results.tables.looks import describe_number, read_looks
from results.tables.selection import Selection
from results.tables.source_names import short_name
from results.tables.summary import format_plain, format_value
from results.text import plural
from tasks.contract import Export

PROJECT = "multimodal-sweep-orchestrator"
NONE = "none"  # the model or data of a task that loads none
_CLAIM_COLUMNS = ("verdict", "claim", "published", "ours", "difference", "95 %")


def render_card(sweep: Sweep, selection: Selection, export: Export, untrained: str = "") -> str:
    """Return the text of the card: the model's usage, results, selection, parameters and origin.

    Paths of local folders are shortened to their last part, because a card may be published.
    ``untrained`` is a sentence for a model that was not trained.
    """
    trial = selection.trial
    model, data = (short_name(trial[kind]) for kind in ("model", "data"))
    parts = [
        _front_matter(sweep, export),
        f"# {escape(_title(sweep, trial))}",
        f"Trial `{trial['trial_id']}` of the {sweep.manifest.task} sweep "
        f"`{sweep.manifest.name}`: {escape(_sources(sweep, trial, model, data))}."
        + (f" {untrained}" if untrained else ""),
        *(["\n".join(f"- {note}" for note in export.notes)] if export.notes else []),
        "## Usage",
        "Run this in the exported folder.",
        f"```python\n{export.usage.strip()}\n```",
        "## Results",
        _markdown(sweep, scores_table(sweep, selection)),
        "## How it was chosen",
        *_choice(sweep, selection),
        *_claims(sweep),
        "## Parameters",
        _parameters(trial),
        "## Origin",
        _origin(sweep, trial, model, data),
        "## License",
        _license(sweep, export, model, data),
    ]
    return "\n\n".join(parts) + "\n"


def _sources(sweep: Sweep, trial: Mapping[str, Any], model: str, data: str) -> str:
    function = sweep.manifest.function
    named = {"model": model, "data": data} if function is None else {"function": function}
    found = [f"{kind} {name}" for kind, name in named.items() if name != NONE]
    return ", ".join([*found, f"seed {trial['seed']}"])


def _title(sweep: Sweep, trial: Mapping[str, Any]) -> str:
    if sweep.manifest.function is not None or trial["model"] == NONE:
        return f"{sweep.manifest.task}, trial {trial['trial_id'][:8]}"
    return f"{sweep.manifest.task}: {short_name(trial['model'])}, trial {trial['trial_id'][:8]}"


def _front_matter(sweep: Sweep, export: Export) -> str:
    """Return the card's metadata as YAML, which includes JSON strings."""
    lines = [f"license: {json.dumps(export.license or 'unknown')}"]
    if export.library:
        lines.append(f"library_name: {json.dumps(export.library)}")
    if export.pipeline:
        lines.append(f"pipeline_tag: {json.dumps(export.pipeline)}")
    if export.base_models:
        lines += ["base_model:", *(f"- {json.dumps(name)}" for name in export.base_models)]
    lines += ["tags:", f"- {PROJECT}", f"- {json.dumps(sweep.manifest.task)}"]
    return "\n".join(["---", *lines, "---"])


def _choice(sweep: Sweep, selection: Selection) -> list[str]:
    """Describe how the trial was chosen, and why its scores may be too optimistic."""
    metric = sweep.manifest.metric.label
    number, row = selection.num_configurations, selection.row
    if row is None:
        return [
            "It was chosen by its id. It is not in the sweep's tables, which have another model, "
            "data or version."
        ]
    trials = plural(selection.num_trials, "finished trial")
    if selection.num_pruned:
        trials += f", {selection.num_pruned} pruned"
    if number == 1:
        return [f"It is the sweep's only configuration, with {trials}, so nothing was chosen."]
    compared = f"{plural(number, 'configuration')} ({trials}) that the sweep compared"
    if selection.is_best:
        rank = "best" if selection.rank == 1 else f"number {selection.rank}, the best complete one,"
        lines = [f"It is the {rank} by {metric} of {compared}."]
        if row.num_seeds > 1:
            lines[0] += f" Of its {row.num_seeds} seeds it is the first."
    else:
        lines = [
            f"It was chosen by its id. Its configuration is number {selection.rank} by {metric} "
            f"of {compared}."
        ]
    split = selection.trial.get("param.split")
    where = f"the split {split}" if split else "the samples"
    lines.append(
        f"The sweep compared configurations on {where} that the scores above are from. The best of "
        "many is partly good by chance: expect lower scores on other data."
    )
    lines += _ties(selection) + _looks(sweep, selection)
    return lines


def _looks(sweep: Sweep, selection: Selection) -> list[str]:
    """Describe the score of the trial's configuration on the held-out split."""
    column = sweep.manifest.main_column
    trial_id, looks = selection.trial["trial_id"], read_looks(sweep)
    found = [
        (number, look, row)
        for number, look in enumerate(looks)
        for row in look.rows
        if trial_id in row.trial_ids
    ]
    if not found:
        other = "any other split" if sweep.manifest.function is None else "other data"
        return [f"The sweep says nothing about {other}."]
    number, look, row = found[-1]
    seeds = f", the mean of {len(row.trial_ids)} seeds" if len(row.trial_ids) > 1 else ""
    line = (
        f"On the split {look.split}, which was not used to choose, its {heading(column)} is "
        f"{format_value(row.test, column.format)}{seeds}, compared with "
        f"{format_value(row.val, column.format)} on {row.chosen_on}."
    )
    return [" ".join([line, describe_number(looks, number)]).strip()]


def _ties(selection: Selection) -> list[str]:
    assert selection.table is not None
    if selection.row is None or selection.row.mark not in ("best", "tie"):
        return []
    number = sum(row.mark in ("best", "tie") for row in selection.table.rows) - 1
    if not number:
        return []
    if selection.row.mark == "tie":
        return [
            "Its table marks it as not distinguishable from the best row (5 % error over the whole "
            "table)."
        ]
    other = "1 other configuration is" if number == 1 else f"{number} other configurations are"
    return [f"In its table {other} not significantly worse (5 % error over the whole table)."]


# --- claims, parameters, origin -------------------------------------------------------------------


def _claims(sweep: Sweep) -> list[str]:
    table = claims_table(sweep, with_source=False)
    if table is None:
        return []
    indices = [table.headings.index(name) for name in _CLAIM_COLUMNS]
    rows = [[row[index] for index in indices] for row in table.rows]
    short = DetailTable(
        title=table.title, headings=list(_CLAIM_COLUMNS), rows=rows, caption=table.caption
    )
    about = "These verdicts are about the whole sweep, not about this model alone."
    return ["## Claims", about, _markdown(sweep, short)]


def _markdown(sweep: Sweep, table: DetailTable) -> str:
    document = make_document(sweep.manifest.task, sweep.manifest.name, [("", table)])
    return to_markdown([document]).strip()


def _parameters(trial: Mapping[str, Any]) -> str:
    names = [name for name in trial if name.startswith("param.")]
    lines = [
        f"| {escape(name.removeprefix('param.'))} | {escape(format_plain(trial[name]))} |"
        for name in sorted(names)
    ]
    return "\n".join(["| parameter | value |", "|:---|:---|", *lines])


def _origin(sweep: Sweep, trial: Mapping[str, Any], model: str, data: str) -> str:
    manifest = sweep.manifest
    versions = ", ".join(f"{name} {v}" for name, v in manifest.versions.items())
    git = manifest.git
    sources = [
        f"- {kind}: {escape(name)}, content hash `{trial[f'{kind}_fingerprint']}`"
        for kind, name in (("model", model), ("data", data))
        if name != NONE
    ]
    if manifest.function is not None:  # what it loads is in its code alone
        sources = [f"- function: {escape(manifest.function)}"]
    lines = [
        *sources,
        f"- seed: {trial['seed']}",
        f"- task: {manifest.task}, version {trial['version']}",
        f"- trial: `{trial['trial_id']}`",
        *([f"- versions: {escape(versions)}"] if versions else []),
    ]
    if git:
        changed = " with changes" if git.dirty else ""
        lines.append(f"- code: {PROJECT}, commit `{git.commit[:12]}`{changed}")
    return "\n".join(lines)


def _license(sweep: Sweep, export: Export, model: str, data: str) -> str:
    if sweep.manifest.function is not None:
        return (
            "Unknown: only the function knows which models and data it used. Find out their "
            "licenses before you share the model."
        )

    def named(found: str | None) -> str:
        return found or "unknown"

    return "\n".join(
        [
            f"- {'model' if model == NONE else f'base model {escape(model)}'}: "
            f"{named(export.license)}",
            *([] if data == NONE else [f"- data {escape(data)}: {named(export.data_license)}"]),
            "",
            "A license is unknown if no file of the model or the data names it. Check the license "
            "before you share the model.",
        ]
    )


def trial_record(sweep: Sweep, trial: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``export.json``: the trial as plain values."""
    manifest = sweep.manifest

    def part(prefix: str) -> dict[str, Any]:
        names: Sequence[str] = [n for n in trial if n.startswith(prefix)]
        return {n.removeprefix(prefix): trial[n] for n in names if trial[n] is not None}

    params = {n.removeprefix("param."): v for n, v in trial.items() if n.startswith("param.")}
    return {
        "task": manifest.task,
        "version": trial["version"],
        "sweep": manifest.name,
        "trial_id": trial["trial_id"],
        "seed": trial["seed"],
        "params": params,
        "metrics": part("metric."),
        **{
            kind: {"name": short_name(trial[kind]), "fingerprint": trial[f"{kind}_fingerprint"]}
            for kind in ("model", "data")
        },
        "versions": dict(manifest.versions),
    }
