"""A stand-in for the Hugging Face Hub that serves the files of a data set, on loopback.

GET  /api/datasets/ID/revision/REV       the commit of a revision
GET  /api/datasets/ID/tree/REV/FOLDER    the files
POST /api/datasets/ID/paths-info/REV     some of them
GET  /datasets/ID/resolve/REV/FILE       one, or a range of its bytes
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from http_servers import serving

_API = re.compile(r"/api/datasets/(?P<id>[^/]+/[^/]+)(/(?P<what>[a-z-]+)/(?P<rev>[^/]+)(/.*)?)?")
_FILE = re.compile(r"/datasets/(?P<id>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<file>.+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class FileHub:
    """One data set: a folder for each commit."""

    repo: str
    commits: Mapping[str, Path]  # by hash; the last one is main
    address: str = ""
    requests: list[str] = field(default_factory=list)
    sent: int = 0  # bytes of files

    def commit(self, revision: str) -> str | None:
        """The commit of a revision."""
        latest = list(self.commits)[-1]
        return revision if revision in self.commits else latest if revision == "main" else None


@contextmanager
def file_hub(repo: str, commits: Mapping[str, Path]) -> Iterator[FileHub]:
    """The stand-in, running."""
    hub = FileHub(repo, commits)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(b"")

        do_HEAD = do_GET  # noqa: N815

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _answer(self, body: bytes) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.requests.append(f"{self.command} {path}")
            for pattern, answer in ((_API, _describe), (_FILE, _read)):
                match = pattern.fullmatch(path)
                commit = hub.commit(match["rev"] or "main") if match else None
                if match and match["id"] == hub.repo and commit:
                    self._send(answer(hub, commit, match, body))
                    return
            self._send(None, "RevisionNotFound" if hub.repo in path else "RepoNotFound")

        def _send(self, found: tuple[bytes, dict[str, str]] | None, error: str = "") -> None:
            content, headers = found or (b"{}", {"X-Error-Code": error or "EntryNotFound"})
            status = 404 if found is None else 200
            span = _RANGE.fullmatch(self.headers.get("Range") or "")
            if span and found is not None:
                first, last = int(span[1]), int(span[2] or len(content) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
                content, status = content[first : last + 1], 206
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                hub.sent += len(content) if "ETag" in headers else 0
                self.wfile.write(content)

    with serving(Handler) as hub.address:
        yield hub


def _describe(hub: FileHub, commit: str, match: re.Match[str], body: bytes) -> Any:
    root = hub.commits[commit]
    files = sorted(f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file())
    if match["what"] in ("tree", "paths-info"):
        wanted = files
        if match["what"] == "paths-info":
            asked = parse_qs(body.decode()) if body[:1] != b"{" else json.loads(body)
            wanted = [file for file in files if file in asked["paths"]]
        answer: Any = [_entry(root, file) for file in wanted]
    else:
        names = [{"rfilename": file} for file in files]
        answer = {"id": hub.repo, "sha": commit, "siblings": names, "private": False}
    return json.dumps(answer).encode(), {"Content-Type": "application/json"}


def _entry(root: Path, file: str) -> dict[str, Any]:
    content = (root / file).read_bytes()
    oid = hashlib.sha1(content).hexdigest()
    return {"type": "file", "path": file, "size": len(content), "oid": oid}


def _read(hub: FileHub, commit: str, match: re.Match[str], body: bytes) -> Any:
    file = hub.commits[commit] / match["file"]
    if not file.is_file():
        return None
    content = file.read_bytes()
    etag = f'"{hashlib.sha1(content).hexdigest()}"'
    return content, {"ETag": etag, "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
