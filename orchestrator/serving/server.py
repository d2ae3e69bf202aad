"""Runs the server until Ctrl-C."""

from __future__ import annotations

import contextlib
import importlib
import secrets
import socket
import threading
from collections.abc import Callable

import uvicorn

from orchestrator.serving.access import is_loopback
from orchestrator.serving.app import make_app
from orchestrator.serving.library import Library
from orchestrator.serving.sweep_texts import charts_text, sweep_text
from results.page.html import compressed_plotly, load_templates
from results.page.selection import Selection
from results.page.sweeps_page import list_order
from tasks.contract import RequestError, SweepError

MAX_SHARE = 0.05  # of a core, for each running sweep that somebody watches
MAX_AGE = 1.0  # seconds of a listing of files; a page asks every two seconds


def serve(root: str, host: str, port: int, say: Callable[[str], None]) -> str:
    """Serve the sweeps under ``root`` until Ctrl-C.

    Args:
        root: a folder or URI with results.
        host: the address to listen on; other than a loopback address, it needs a token.
        port: the port; 0 for any that is free.
        say: prints a line.

    Returns:
        The address, without its token.

    Raises:
        RequestError: if it cannot listen there.
    """
    token = "" if is_loopback(host) else secrets.token_urlsafe(24)
    listener = _listen(host, port)
    library = Library(root, MAX_SHARE, MAX_AGE)
    app = make_app(library, host, token)
    threading.Thread(target=warm_up, args=(library,), daemon=True).start()
    query = f"?token={token}" if token else ""
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}/"
    say(f"Open {address}{query} (Ctrl-C stops the server)")
    config = uvicorn.Config(app, log_level="warning", server_header=False, lifespan="off")
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
    return address


def warm_up(library: Library) -> None:
    """Import, read and make what the first page would otherwise wait for.

    That page is probably of the first sweep of the list: one that runs, or the newest.
    """
    importlib.import_module("scipy.stats")
    load_templates()
    with contextlib.suppress(SweepError):  # a page explains it
        first = min(library.all(), key=lambda held: list_order(held.line), default=None)
        if first is not None:
            sweep_text(first, Selection())
            charts_text(first, Selection())
    compressed_plotly()


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; the port is known before the server starts."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # so that the printed address answers at once
    except (OSError, OverflowError) as error:
        raise RequestError(
            f"cannot listen on {host} port {port}: {error}; give another --host or --port"
        ) from None
    return listener
