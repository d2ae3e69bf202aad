"""``sweep --notify URL``: sends a message to a webhook when a sweep ends.

Each message is one POST with a JSON body from a thread of its own, so a slow server never delays
the sweep. At the end of the process, unsent messages get ``TIMEOUT`` seconds.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from results.redaction import redact
from tasks.contract import RequestError

logger = logging.getLogger(__name__)

TIMEOUT = 5.0  # seconds for one message

#: trial_failed is sent for the first failed trial of a run only.
Event = Literal["finished", "interrupted", "budget_reached", "trial_failed", "error"]


def check_url(url: str | None) -> None:
    """Check the URL of ``--notify``.

    Raises:
        RequestError: if it is not an address of a web server.
    """
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_web = False
    if not is_web or any(sign.isspace() or not sign.isprintable() for sign in url):
        raise RequestError("--notify takes an http:// or https:// address of a webhook")


def hide_url(words: Sequence[str]) -> list[str]:
    """Return the words of a command without the URL of ``--notify``, whose path may be a secret."""
    hidden = ["--notify=***" if word.startswith("--notify=") else redact(word) for word in words]
    for place, word in enumerate(words[:-1]):
        if word == "--notify":
            hidden[place + 1] = "***"
    return hidden


@dataclass(kw_only=True)
class Notifier:
    """Sends messages about one sweep to a webhook; does nothing without a URL."""

    url: str | None
    sweep: str  # task/name
    _threads: list[threading.Thread] = field(default_factory=list)
    _has_failed: bool = False

    def trial_failed(self, trial_id: str, reason: str) -> None:
        """Send the reason of a failed trial, if it is the first one of this run."""
        if not self._has_failed:
            self._has_failed = True
            text = f"{self.sweep}: trial {trial_id} failed: {reason}"
            self.send("trial_failed", text, {"trial_id": trial_id, "reason": reason})

    def send(self, event: Event, text: str, more: Mapping[str, Any]) -> None:
        """Send a message without waiting for it.

        Args:
            event: what happened.
            text: one line for a reader.
            more: further fields of the JSON object.
        """
        if self.url is None:
            return
        message = {
            "event": event,
            "text": text,
            "sweep": self.sweep,
            "host": socket.gethostname(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            **more,
        }
        thread = threading.Thread(
            target=_post, args=(self.url, message), name="notify", daemon=True
        )
        thread.start()
        self._threads.append(thread)

    def close(self) -> None:
        """Wait for unsent messages, but not longer than ``TIMEOUT`` in total."""
        deadline = time.monotonic() + TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _post(url: str, message: Mapping[str, Any]) -> None:
    """Post a message. An error is logged, without the URL."""
    import urllib.error  # only now: they take as long as the rest of a command's start
    import urllib.request

    body = json.dumps(message).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "orchestrator"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            pass
    except urllib.error.HTTPError as error:
        logger.warning("--notify: the webhook answered %d", error.code)
    except Exception as error:
        reason = getattr(error, "reason", error)
        logger.warning("--notify: the message was not sent: %s", type(reason).__name__)
