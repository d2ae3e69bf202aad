"""The view of a running sweep in a notebook: a panel below the cell."""

from __future__ import annotations

import contextvars
import sys
import threading
from typing import Any

from rich.console import Console, RenderableType

from results.render.as_html import WIDTH, to_html

HEIGHT = 40  # lines
REFRESH_SECONDS = 0.5


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def notebook_console() -> Console:
    """Return a console that prints plain lines below the cell."""
    return Console(file=sys.stdout, force_jupyter=False, width=WIDTH, height=HEIGHT)


class NotebookPanel:
    """Shows content below the cell and updates it until ``stop`` is called."""

    def __init__(self, content: RenderableType) -> None:
        """Create a panel; ``content`` is rendered again at each refresh."""
        self._content = content
        self._stopped = threading.Event()
        self._display: Any = None
        # With the caller's context, the thread's output appears below the caller's cell.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._refresh,), daemon=True)

    def start(self) -> None:
        """Show the panel, and keep it up to date."""
        from IPython.display import HTML, display

        self._display = display(HTML(to_html(self._content)), display_id=True)
        self._thread.start()

    def stop(self) -> None:
        """Remove the panel."""
        from IPython.display import HTML

        self._stopped.set()
        self._thread.join()
        if self._display is not None:
            self._display.update(HTML(""))

    def _refresh(self) -> None:
        from IPython.display import HTML

        while not self._stopped.wait(REFRESH_SECONDS):
            if self._display is not None:
                self._display.update(HTML(to_html(self._content)))
