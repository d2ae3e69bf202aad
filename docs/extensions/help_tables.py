"""The command reference as Markdown: what every command's ``--help`` prints, with tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_PROGRAM = "python -m orchestrator"


def reference() -> str:
    """Return the sections of all commands that ``--help`` lists, as Markdown."""
    import typer.main

    from orchestrator.cli import app

    group: Any = typer.main.get_command(app)
    shown = {name: command for name, command in group.commands.items() if not command.hidden}
    return "\n\n".join("\n".join(_section(name, command)) for name, command in shown.items())


def _section(name: str, command: Any) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"## {name}", "", "```text", f"{_PROGRAM} {name} {usage}", "```", "")
    yield from (_plain(line) for line in command.help.splitlines())
    for heading, kind in (("Argument", "argument"), ("Option", "option")):
        parameters = [one for one in command.params if one.param_type_name == kind]
        records = [record for one in parameters if (record := one.get_help_record(context))]
        if records:
            yield from ("", f"| {heading} | Meaning |", "|---|---|")
            yield from (f"| `{_cell(sign)}` | {_plain(_cell(text))} |" for sign, text in records)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _plain(text: str) -> str:
    """Text in which no sign is Markdown or HTML, except for code spans."""
    return text.replace("<", "&lt;").replace("*", "\\*")
