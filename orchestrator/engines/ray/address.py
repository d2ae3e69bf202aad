"""Checks the address of a Ray cluster before connecting.

Ray itself waits long for a wrong address and raises errors of many types.
"""

from __future__ import annotations

import re
import socket

from results.redaction import redact
from tasks.contract import RequestError

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]):(?P<port>\d{1,5})")
_CONNECT_SECONDS = 5.0


def check_address(address: str) -> None:
    """Check the format of a cluster address.

    Raises:
        RequestError: if it is invalid.
    """
    if address.startswith("ray://"):
        raise RequestError(
            f"--address {redact(address)} is the address of a Ray Client server, which sweeps "
            "cannot use; run the sweep on the head node (`ray exec`) or as a job "
            "(`ray job submit`), see docs/tutorials/your-cluster.md"
        )
    found = _ADDRESS.fullmatch(address)
    if address not in ("auto", "local") and not (found and 0 < int(found["port"]) < 65536):
        raise RequestError(
            f"--address (or RAY_ADDRESS) takes HOST:PORT, auto or local, "
            f"but got {redact(address)!r}"
        )


def check_reachable(address: str) -> None:
    """Check that a server listens at the address.

    Raises:
        RequestError: if it cannot be reached.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return
    try:
        target = (found["host"].strip("[]"), int(found["port"]))
        socket.create_connection(target, _CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RequestError(
            f"cannot reach the Ray cluster at {address}: {reason}; see `ray status` on its head "
            "node, or use --engine local"
        ) from None


def unreachable(address: str | None, error: Exception) -> RequestError:
    """Return the error for a cluster, or a Ray on this machine, that cannot be reached."""
    first = redact((str(error).strip() or type(error).__name__).splitlines()[0].rstrip("."))
    if address is None:
        return RequestError(f"cannot start Ray: {first}; try again, or use --engine local")
    # Ray reports the same error for a wrong token as for a dead head node.
    return RequestError(
        f"cannot reach the Ray cluster at {redact(address)}: {first}; check that the token equals "
        "the head node's (RAY_AUTH_MODE, ~/.ray/auth_token), see `ray status`, or use "
        "--engine local"
    )
