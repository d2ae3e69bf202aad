"""Who may read the pages: this machine alone, or those who know the token.

On a loopback address every request is answered that names a loopback host, so that no other web
site can read the pages through a browser. On any other address the first request brings the token
in its address, ``/?token=...``, and gets it back as a cookie.
"""

from __future__ import annotations

import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlencode

from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "orchestrator-token"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address, given as a name or number."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class LocalOnly:
    """Refuses requests that name another host than this machine."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = {*_LOCAL_NAMES, f"[{host}]" if ":" in host else host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            named = Headers(scope=scope).get("host", "")
            name = named if named.endswith("]") else named.rpartition(":")[0] or named
            if name not in self._names:
                refused = PlainTextResponse("This server answers this machine alone.", 403)
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)


class TokenOnly:
    """Refuses requests that bring neither the token nor the cookie that it was exchanged for."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        query = QueryParams(scope["query_string"])
        if self._is_token(query.get("token", "")):
            # The token leaves the address at once, so that it is neither seen nor sent on.
            rest = urlencode([item for item in query.multi_items() if item[0] != "token"])
            path = f"/{scope['path'].lstrip('/')}"  # two slashes would name another server
            answer = RedirectResponse(quote(path) + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            await answer(scope, receive, send)
        elif self._is_token(_cookie(Headers(scope=scope).get("cookie", ""))):
            await self._app(scope, receive, send)
        else:
            refused = PlainTextResponse(
                "This server needs a token: open the address that it printed when it started.", 401
            )
            await refused(scope, receive, send)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
