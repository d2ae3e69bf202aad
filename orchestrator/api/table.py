"""Tables for terminals and notebooks."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

from results.render.as_html import to_html


class Table:
    """The tables of a sweep. Print them, or end a notebook cell with them."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._content

    def _repr_html_(self) -> str:
        return to_html(self._content)

    def __str__(self) -> str:
        console = Console(color_system=None, force_jupyter=False, force_terminal=False)
        with console.capture() as captured:
            console.print(self._content)
        return captured.get().rstrip("\n")

    __repr__ = __str__
