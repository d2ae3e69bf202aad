"""Explains errors in a command line, and suggests what to type instead."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from typing import Any

from orchestrator.planning import discovery
from orchestrator.planning.suggestions import OPTIONS, normalize_name, similar_parameters
from tasks.contract import SweepError


def explain(error: Any, words: Sequence[str]) -> str:
    """Return one line that explains a usage error of Typer.

    Args:
        error: the usage error.
        words: the command line after the program's name.
    """
    message = str(error.format_message()).rstrip(".")
    option = getattr(error, "option_name", None)
    context: Any = getattr(error, "ctx", None)
    name = "" if context is None or context.parent is None else str(context.info_name)
    if context is None and words and not words[0].startswith("-"):
        name = words[0]  # without a context, as when the value of an option is missing
    if option is not None and message.startswith("No such option"):
        meant = _explain_option(str(option), name, words, _options_of(context))
        return f"{name or 'orchestrator'} has no option {_dashed(option)}; {meant}"
    if message.startswith("No such command"):
        known = sorted(c for c, each in context.command.commands.items() if not each.hidden)
        typed = message.removeprefix("No such command '").partition("'")[0]
        if typed in ("help", "version"):
            return f"No such command {typed!r}; did you mean --{typed}?"
        return f"No such command {typed!r}; {discovery.suggest(typed, known)}"
    if message.startswith("Missing argument 'TRIAL|DIR'"):
        return "export requires a folder to write: export NAME [TRIAL] DIR"
    if message.startswith("Missing argument"):
        return f"{message.replace('...', '')}: {_explain_missing_argument(name)}"
    if message.startswith("Got unexpected extra argument") and name == "sweep":
        return f"{message}; see `python -m orchestrator sweep --help`"
    see = " ".join(part for part in ("python -m orchestrator", name, "--help") if part)
    return f"{message}; see `{see}`"


def _options_of(context: Any) -> list[str]:
    if context is None:
        return []
    params = [p for p in context.command.params if not getattr(p, "hidden", False)]
    return [opt for param in params for opt in param.opts if opt.startswith("--")]


def _dashed(option: str) -> str:
    return option if option.startswith("-") else f"--{option}"


def _explain_missing_argument(command: str) -> str:
    if command == "sweep":
        return f"which task? available: {', '.join(discovery.task_names())}"
    if command in ("show", "check", "compare", "export", "verify"):
        return "which sweep? `python -m orchestrator list` lists them"
    return f"see `python -m orchestrator {command} --help`"


def _explain_option(option: str, command: str, words: Sequence[str], options: Sequence[str]) -> str:
    """Return what to type instead of an option that the command does not have."""
    bare = normalize_name(option)
    same = [
        each for each in options if normalize_name(each) == bare or (each[2:3], bare) == ("v", "v")
    ]
    if same:
        return f"did you mean {same[0]}?"
    if command == "sweep":
        advice = _suggest_setting(option, words)
        if advice:
            return advice
        if bare in OPTIONS:
            meant = OPTIONS[bare]
            return f"did you mean {meant}?" if meant.startswith("--") else meant
    near = [each for each in options if normalize_name(each).startswith(bare) and len(bare) > 2]
    names = {each.lstrip("-"): each for each in options}
    spelled = difflib.get_close_matches(option.lstrip("-"), names, n=1)
    near = near[:1] or [names[each] for each in spelled]
    if near:
        return f"did you mean {near[0]}?"
    see = " ".join(part for part in ("python -m orchestrator", command, "--help") if part)
    return f"see `{see}`"


def _suggest_setting(option: str, words: Sequence[str]) -> str:
    """Suggest ``--set lr=1e-3`` for ``--lr 1e-3`` if a named task has such a parameter."""
    from orchestrator.planning.params import param_types

    known = discovery.task_names()
    for task in (word for word in words if word in known):
        try:
            params = param_types(discovery.load_task(task).Params)
        except SweepError:
            continue
        bare = option.lstrip("-").replace("-", "_")
        near = [bare] if bare in params else similar_parameters(bare, params)
        if near and (
            bare in params
            or normalize_name(near[0]) == normalize_name(bare)
            or _is_synonym(bare, near[0])
        ):
            setting = f"{near[0]}={_value_after(option, words)}"
            what = "that is" if near[0] == bare else f"{near[0]} is"
            return f"{what} a parameter of {task}: write --set {shlex.quote(setting)}"
    return ""


def _is_synonym(name: str, parameter: str) -> bool:
    from orchestrator.planning.suggestions import SYNONYMS

    return parameter in SYNONYMS.get(normalize_name(name), ())


def _value_after(option: str, words: Sequence[str]) -> str:
    """Return the value that was typed after an option, or "VALUE"."""
    for index, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and index + 1 < len(words) and not words[index + 1].startswith("--"):
            return words[index + 1]
    return "VALUE"
