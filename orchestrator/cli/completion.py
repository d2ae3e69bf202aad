"""``completion``: prints a shell's completion script, and completes tasks, sweeps and options.

A shell starts this program at every Tab, so nothing here imports torch, Ray or Optuna.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer
from typer.completion import completion_init, get_completion_script

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.search.options import PRUNERS, SAMPLERS
from tasks.contract import RequestError

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ORCHESTRATOR_COMPLETE"


def prepare() -> None:
    """Enable Typer's completion if a shell asks for it. Typer does so only with add_completion."""
    if VARIABLE in os.environ:
        completion_init()


def completion(
    shell: Annotated[
        str,
        typer.Argument(help="Shell: bash, zsh or fish.", autocompletion=lambda: SHELLS),
    ],
    json_: Json = False,
) -> int | Outcome:
    """Print a completion script for a shell.

    For example, add eval "$(orchestrator completion bash)" to ~/.bashrc.
    """
    if shell not in SHELLS:
        raise RequestError(f"no completion for {shell!r}; available: {', '.join(SHELLS)}")
    script = get_completion_script(prog_name="orchestrator", complete_var=VARIABLE, shell=shell)
    if json_:
        return Outcome(fields={"shell": shell, "script": script})
    print(script)
    return 0


def _quietly(find: Callable[[dict[str, Any]], Iterable[str]]) -> Any:
    """Return a completer of the words that ``find`` returns. Errors give no completions."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            found = sorted(set(find(ctx.params)))
        except Exception:  # a traceback would garble the command line
            return []
        return [text for text in found if text.startswith(incomplete)]

    return complete


def _tasks(_: dict[str, Any]) -> Iterable[str]:
    from orchestrator.planning.discovery import task_names

    return task_names()


def _sweeps(params: dict[str, Any]) -> Iterable[str]:
    from results.storage.reading import find_sweeps

    task = params.get("task")
    for of, name in find_sweeps(params.get("out") or "runs"):
        if not isinstance(task, str) or task == of:
            yield f"{of}/{name}"


def _settings(_: dict[str, Any]) -> Iterable[str]:
    import dataclasses

    from orchestrator.planning.discovery import load_task, task_names

    # Typer parses no arguments if the last option has no value yet.
    words = os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()
    for name in set(words) & set(task_names()):
        for field in dataclasses.fields(load_task(name).Params):
            yield f"{field.name}="


def _trackers(_: dict[str, Any]) -> Iterable[str]:
    from orchestrator.tracking.finding import tracker_names

    return tracker_names()


def _one_of(*values: str) -> Any:
    return _quietly(lambda _: values)


complete_task = _quietly(_tasks)
complete_tracker = _quietly(_trackers)
complete_sweep = _quietly(_sweeps)
complete_setting = _quietly(_settings)
complete_engine = _one_of("ray", "local")
complete_graphics = _one_of("auto", "kitty", "sixel", "blocks", "none")
complete_sampler, complete_pruner = _one_of(*SAMPLERS), _one_of(*PRUNERS)
