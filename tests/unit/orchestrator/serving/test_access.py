"""Who may read the pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_sweeps import write_sweep
from starlette.testclient import TestClient

from orchestrator.serving.access import COOKIE, is_loopback
from orchestrator.serving.app import make_app
from orchestrator.serving.library import Library

TOKEN = "secret-token"


@pytest.fixture
def root(tmp_path: Path) -> str:
    write_sweep(str(tmp_path))
    return str(tmp_path)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.7", False),
        ("example.org", False),
    ],
)
def test_loopback_addresses(host: str, is_local: bool) -> None:
    assert is_loopback(host) == is_local


@pytest.mark.parametrize("path", ["/", "/sweeps/toy/s", "/sweeps/toy/s/charts", "/assets/page.js"])
def test_without_the_token_nothing_is_shown(root: str, path: str) -> None:
    client = TestClient(make_app(Library(root), "0.0.0.0", TOKEN))
    for address in (path, f"{path}?token=", f"{path}?token=wrong", f"{path}?token=é"):
        answer = client.get(address)
        assert answer.status_code == 401
        assert "toy" not in answer.text
    client.cookies.set(COOKIE, "wrong")
    assert client.get(path).status_code == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(root: str) -> None:
    client = TestClient(make_app(Library(root), "0.0.0.0", TOKEN))
    first = client.get(f"/sweeps/toy/s?seed=0&token={TOKEN}", follow_redirects=False)
    assert first.status_code == 303
    assert first.headers["location"] == "/sweeps/toy/s?seed=0"
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/sweeps/toy/s").status_code == 200
    assert TOKEN not in client.get("/").text


def test_the_redirect_stays_on_this_server(root: str) -> None:
    client = TestClient(make_app(Library(root), "0.0.0.0", TOKEN))
    address = f"http://testserver//example.org/?token={TOKEN}"
    answer = client.get(address, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/example.org/"


def test_another_site_cannot_read_through_a_name_of_its_own(root: str) -> None:
    app = make_app(Library(root))
    for host in ("localhost:8088", "127.0.0.1", "[::1]:8088"):
        assert TestClient(app).get("/", headers={"host": host}).status_code == 200
    for host in ("example.org", "example.org:8088", "127.0.0.1.example.org", ""):
        assert TestClient(app).get("/", headers={"host": host}).status_code == 403
