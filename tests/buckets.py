"""A real S3 server on loopback, which can fail on request."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "results"


class Bucket:
    """The address of the server, the number of requests, and which of them fail."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
        }
        self.failing: Callable[[str, str], bool] = lambda method, path: False
        self.num_failed = self.num_asked = 0

    def fail_now_and_then(self, share: float) -> None:
        """Answer this share of the requests with 503, drawn with a fixed seed."""
        draw = random.Random(0)
        self.failing = lambda method, path: draw.random() < share

    def replace_once(self, path: str, replace: Callable[[], None]) -> None:
        """Call a function after the size of an object was asked for, before its first GET."""
        left = [replace]

        def failing(method: str, asked: str) -> bool:
            if (method, asked) == ("GET", f"/{path}") and left:
                left.pop()()
            return False

        self.failing = failing

    def fail_writes_after(self, number: int) -> None:
        """Answer the next PUTs as usual, up to this number, and all later ones with 503."""
        left = [number]

        def failing(method: str, path: str) -> bool:
            if method != "PUT":
                return False
            left[0] -= 1
            return left[0] < 0

        self.failing = failing

    def fail_reads(self, number: int) -> None:
        """Answer this many of the next GETs and HEADs with 503."""
        left = [number]

        def failing(method: str, path: str) -> bool:
            if method not in ("GET", "HEAD"):
                return False
            left[0] -= 1
            return left[0] >= 0

        self.failing = failing

    def stop_failing(self) -> None:
        """Answer every request as usual again."""
        self.failing = lambda method, path: False


@contextmanager
def serve() -> Iterator[Bucket]:
    """Run moto's S3 with one bucket in a thread of this process."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    inner = DomainDispatcherApplication(create_backend_app)
    buckets: list[Bucket] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        bucket = buckets[0]
        bucket.num_asked += 1
        if bucket.failing(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            bucket.num_failed += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Service Unavailable", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>failing on purpose</Message></Error>"]
        return inner(environ, start_response)  # type: ignore[no-any-return]

    server = make_server("127.0.0.1", 0, app, threaded=True)
    buckets.append(Bucket(server.server_port))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    before = {name: os.environ.get(name) for name in buckets[0].environment}
    os.environ.update(buckets[0].environment)
    import pyarrow.fs

    try:
        filesystem = pyarrow.fs.S3FileSystem(
            endpoint_override=buckets[0].url, allow_bucket_creation=True
        )
        filesystem.create_dir(BUCKET)
        yield buckets[0]
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        server.shutdown()
        thread.join()
