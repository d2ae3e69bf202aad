"""Messages to the webhook of ``--notify``: when, what, and that they never delay a sweep."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from harness import run_command
from webhook import Webhook, webhook

import orchestrator as orc
from orchestrator.running import notify
from orchestrator.running.notify import Notifier, check_url, hide_url
from results.storage.reading import read_sweep
from tasks.contract import RequestError

SWEEP = ("sweep", "toy", "--engine", "local")


@pytest.mark.parametrize("url", ["http://host/x", "https://hooks.example.com:8080/T0/B0?x=1"])
def test_addresses_of_web_servers_are_accepted(url: str) -> None:
    check_url(url)
    check_url(None)


@pytest.mark.parametrize(
    "url",
    ["", "host/x", "file:///etc/passwd", "ftp://host", "http://", "http://h:port/", "http://h/\n"],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(RequestError, match="--notify takes"):
        check_url(url)


def test_the_address_is_hidden_in_recorded_commands() -> None:
    words = ["sweep", "toy", "--notify", "https://h/s3cr3t", "--out", "s3://key:s3cr3t@b/r"]
    assert hide_url(words) == ["sweep", "toy", "--notify", "***", "--out", "s3://***@b/r"]
    assert hide_url(["--notify=https://h/s3cr3t"]) == ["--notify=***"]
    assert hide_url(["--notify"]) == ["--notify"]


def test_complete_sweep_sends_one_message(tmp_path: Path) -> None:
    with webhook() as hook:
        done = run_command(*SWEEP, "--notify", hook.url, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    (message,) = hook.messages
    assert message["event"] == "finished"
    assert message["sweep"] == "toy/paper"
    assert message["host"] == socket.gethostname()
    assert message["trials_by_status"]["finished"] == 4
    assert message["metric"] == "error"
    assert 0 < message["best"] < 0.1
    assert message["text"].startswith("toy/paper is complete: 4/4 trials, best error ")
    check_no_file_has_the_secret(tmp_path, hook)
    assert "***" in read_sweep(str(tmp_path), "toy", "paper").manifest.command


def check_no_file_has_the_secret(folder: Path, hook: Webhook) -> None:
    for file in folder.rglob("*"):
        assert not file.is_file() or hook.secret.encode() not in file.read_bytes(), file


def test_address_may_come_from_a_yaml_file(tmp_path: Path) -> None:
    with webhook() as hook:
        file = tmp_path / "sweep.yaml"
        file.write_text(f"task: toy\nengine: local\nnotify: {hook.url}\n")
        done = run_command("sweep", "--from", file, "--out", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert [message["event"] for message in hook.messages] == ["finished"]
    check_no_file_has_the_secret(tmp_path / "runs", hook)


def test_address_may_come_from_python(tmp_path: Path) -> None:
    with webhook() as hook:
        grid = {"degree": [1, 3]}
        orc.sweep("toy", grid, engine="local", out=tmp_path, name="s", notify=hook.url)
    (message,) = hook.messages
    assert (message["event"], message["trials_by_status"]["finished"]) == ("finished", 2)
    check_no_file_has_the_secret(tmp_path, hook)
    assert "notify='***'" in read_sweep(str(tmp_path), "toy", "s").manifest.command[0]


def test_address_in_a_yaml_file_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    for value, message in (("hooks/x", "--notify takes an http://"), ("3", "must be text")):
        file.write_text(f"task: toy\nnotify: {value}\n")
        done = run_command("sweep", "--from", file, "--out", tmp_path / "runs")
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_address_may_come_from_the_environment(tmp_path: Path) -> None:
    with webhook() as hook:
        run_command(*SWEEP, "--out", tmp_path, ORCHESTRATOR_NOTIFY=hook.url)
        run_command(*SWEEP, "--out", tmp_path, ORCHESTRATOR_NOTIFY=hook.url)  # nothing ran
    assert [message["event"] for message in hook.messages] == ["finished"]


def test_first_failed_trial_is_sent_at_once(tmp_path: Path) -> None:
    with webhook() as hook:
        words = (*SWEEP, "--name", "s", "--set", "lr=1e300", "--out", tmp_path)
        assert run_command(*words, "--notify", hook.url).returncode == 1
    assert sorted(message["event"] for message in hook.messages) == ["finished", "trial_failed"]
    failed = next(each for each in hook.messages if each["event"] == "trial_failed")
    rows = {row["trial_id"]: row for row in read_sweep(str(tmp_path), "toy", "s").rows()}
    assert failed["reason"] == rows[failed["trial_id"]]["reason"]
    assert failed["trial_id"] in failed["text"]


def test_spent_budget_is_sent(tmp_path: Path) -> None:
    with webhook() as hook:
        words = (*SWEEP, "--budget", "2trials", "--notify", hook.url, "--out", tmp_path)
        assert run_command(*words).returncode == 0
    (message,) = hook.messages
    assert message["event"] == "budget_reached"
    assert message["text"].startswith("toy/paper has reached its budget: 2/4 trials")


def test_silent_webhook_does_not_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "TIMEOUT", 0.3)
    with webhook(answers=False) as hook:
        notifier = Notifier(url=hook.url, sweep="toy/s")
        began = time.monotonic()
        notifier.trial_failed("a", "why")
        notifier.trial_failed("b", "why")  # only the first is sent
        sent = time.monotonic() - began
        notifier.close()
        assert sent < 0.3
        assert time.monotonic() - began < 10
    assert [message["trial_id"] for message in hook.messages] == ["a"]


@pytest.mark.parametrize("status", [404, 500])
def test_refused_message_is_logged_without_the_address(status: int, logged: list[str]) -> None:
    with webhook(status=status) as hook:
        notifier = Notifier(url=hook.url, sweep="toy/s")
        notifier.send("finished", "text", {})
        notifier.close()
    assert f"the webhook answered {status}" in "\n".join(logged)
    assert hook.secret not in "\n".join(logged)


def test_unreachable_webhook_is_logged(logged: list[str]) -> None:
    notifier = Notifier(url="http://127.0.0.1:9/s3cr3t", sweep="toy/s")
    notifier.send("finished", "text", {})
    notifier.close()
    assert "the message was not sent" in "\n".join(logged)
    assert "s3cr3t" not in "\n".join(logged)
