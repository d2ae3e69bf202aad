"""A stand-in for the Hugging Face Hub that answers the requests of an upload, on loopback.

POST /api/repos/create                 make a repository
POST /api/validate-yaml                check a model card's metadata
POST /api/models/ID/preupload/REV      which files go through LFS
POST /ID.git/info/lfs/objects/batch    where to put them
PUT  /lfs/SHA256                       one of them
POST /api/models/ID/commit/REV         the commit, a line a file
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from http_servers import serving

TOKEN = "hf_standin"
LFS_BYTES = 100  # files of more go through LFS


@dataclass
class Hub:
    """The requests and files that the stand-in received."""

    address: str = ""
    repositories: dict[str, bool | None] = field(default_factory=dict)  # id -> private
    files: dict[str, bytes] = field(default_factory=dict)  # of the last commit, by path
    blobs: dict[str, bytes] = field(default_factory=dict)  # by SHA-256
    cards: list[str] = field(default_factory=list)  # whose metadata were checked
    unknown: list[str] = field(default_factory=list)  # unexpected requests


@contextmanager
def hub_server() -> Iterator[Hub]:
    """The stand-in, running."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _reply(self, answer: object, status: int = 200) -> None:
            blob = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(blob)))
            self.end_headers()
            self.wfile.write(blob)

        def do_GET(self) -> None:
            if self.path != "/api/agent-harnesses":  # for the name that the library calls itself
                hub.unknown.append(f"GET {self.path}")
            self._reply({"error": "not found"}, 404)

        def do_PUT(self) -> None:
            blob = self._body()
            digest = self.path.rpartition("/")[2]
            assert hashlib.sha256(blob).hexdigest() == digest
            hub.blobs[digest] = blob
            self._reply({})

        def do_POST(self) -> None:
            body = self._body()
            if self.path == "/api/validate-yaml":
                hub.cards.append(json.loads(body)["content"])
                self._reply({"errors": [], "warnings": []})
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._reply({"error": "Invalid credentials in Authorization header"}, 401)
            else:
                status, answer = answer_post(hub, self.path, body)
                self._reply(answer, status)

    with serving(Handler) as hub.address:
        yield hub


def answer_post(hub: Hub, path: str, body: bytes) -> tuple[int, Any]:
    """Status and body of the answer to a request with a valid token."""
    if path == "/api/repos/create":
        wanted = json.loads(body)
        name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        # huggingface_hub 2 sends the visibility, 1 sends "private"
        private = wanted.get("visibility") == "private" or wanted.get("private")
        hub.repositories[name] = private
        return 200, {"url": f"{hub.address}/{name}", "name": name, "id": name}
    if re.fullmatch(r"/api/models/[^/]+/[^/]+/preupload/main", path):
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] > LFS_BYTES else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        return 200, {"files": files}
    if path.endswith(".git/info/lfs/objects/batch"):
        objects = [
            {
                **wanted,
                "actions": {"upload": {"href": f"{hub.address}/lfs/{wanted['oid']}", "header": {}}},
            }
            for wanted in json.loads(body)["objects"]
        ]
        return 200, {"transfer": "basic", "objects": objects}
    if re.fullmatch(r"/api/models/[^/]+/[^/]+/commit/main", path):
        hub.files = dict(_committed(hub, body))
        name = path.removeprefix("/api/models/").removesuffix("/commit/main")
        url = f"{hub.address}/{name}/commit/{40 * '0'}"
        return 200, {"commitOid": 40 * "0", "commitUrl": url, "success": True}
    hub.unknown.append(f"POST {path}")
    return 404, {"error": "not found"}


def _committed(hub: Hub, body: bytes) -> Iterator[tuple[str, bytes]]:
    for line in map(json.loads, body.splitlines()):
        value = line["value"]
        if line["key"] == "file":
            assert value["encoding"] == "base64"
            yield value["path"], base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            yield value["path"], hub.blobs[value["oid"]]
