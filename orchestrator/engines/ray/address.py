"""The address of a Ray cluster, checked before Ray is asked: it waits long and raises anything."""

from __future__ import annotations

import re
import socket

from results.storage.filesystem import redact
from tasks.contract import RequestError

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]):(?P<port>\d{1,5})")
_SECONDS = 5.0  # to wait for a connection


def check_address(address: str) -> None:
    """Refuse what cannot be a cluster's address.

    Raises:
        RequestError: saying how one is written.
    """
    if address.startswith("ray://"):
        raise RequestError(
            f"--address {redact(address)} is a Ray Client's, and no sweep can be driven through "
            "one: run it on the head (`ray exec`) or as a job (`ray job submit`); see "
            "docs/tutorials/your-cluster.md"
        )
    found = _ADDRESS.fullmatch(address)
    if address not in ("auto", "local") and not (found and 0 < int(found["port"]) < 65536):
        raise RequestError(
            f"--address (or RAY_ADDRESS) takes HOST:PORT, auto or local, "
            f"but got {redact(address)!r}"
        )


def check_reachable(address: str) -> None:
    """Refuse an address where nothing listens, before anything is written.

    Raises:
        RequestError: naming the address.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return
    try:
        place = (found["host"].strip("[]"), int(found["port"]))
        socket.create_connection(place, _SECONDS).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise RequestError(
            f"cannot reach the Ray cluster at {address}: {why}; see `ray status` on its head, "
            "or use --engine local"
        ) from None
