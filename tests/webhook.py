"""A webhook on loopback that stores the messages it gets."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from http_servers import serving


@dataclass
class Webhook:
    """The address of a webhook, and the messages that it got."""

    url: str = ""
    #: A part of the address. Random, because results record uncommitted changes to this code.
    secret: str = field(default_factory=lambda: uuid.uuid4().hex)
    messages: list[dict[str, Any]] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)  # waits until it is set


@contextmanager
def webhook(*, status: int = 200, answers: bool = True) -> Iterator[Webhook]:
    """A webhook that answers with a status, or not until ``answers`` is set."""
    hook = Webhook()
    if answers:
        hook.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            blob = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/json"
            hook.messages.append(json.loads(blob))
            hook.answers.wait()
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as address:
        hook.url = f"{address}/hooks/{hook.secret}"
        try:
            yield hook
        finally:
            hook.answers.set()
