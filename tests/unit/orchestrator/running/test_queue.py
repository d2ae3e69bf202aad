"""The queue of sweeps as files; tests/faults/test_control.py runs one."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest
from harness import command

from orchestrator.control.processes import process_start
from orchestrator.running.queue import SweepQueue, queue_folder
from orchestrator.running.queue_lock import LOCK, lock_to_run
from results.storage.run_lock import try_lock
from tasks.contract import RequestError


@pytest.fixture
def queue(tmp_path: Path) -> SweepQueue:
    return SweepQueue(tmp_path / "queue")


def test_sweeps_are_listed_in_order(queue: SweepQueue) -> None:
    added = [queue.add(["sweep", name], [f"toy/{name}"]) for name in "bca"]
    assert queue.entries() == added
    assert [entry.state for entry in added] == ["waiting"] * 3
    queue.remove(added[1].id)
    assert queue.entries() == [added[0], added[2]]


def test_sweep_is_removed_by_its_name_or_the_end_of_its_id(queue: SweepQueue) -> None:
    first, second = queue.add(["sweep", "a"], ["toy/a"]), queue.add(["sweep", "b"], ["toy/b"])
    assert queue.remove("toy/b") == second
    assert first.id.endswith(f"-{first.short_id}")
    assert queue.remove(first.short_id) == first
    assert queue.entries() == []


def test_only_one_waiting_sweep_is_removed(queue: SweepQueue) -> None:
    queue.add(["sweep", "a"], ["toy/a"])
    queue.add(["sweep", "b"], ["toy/b"])
    for text, number in (("20", "2"), ("", "no"), ("x", "no")):
        with pytest.raises(RequestError, match=f"{number} sweeps of the queue match"):
            queue.remove(text)
    assert len(queue.entries()) == 2


def test_sweep_whose_process_has_ended_waits_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    queue = SweepQueue(queue_folder())
    added = queue.add(["sweep", "a"], ["toy/a"])
    start = process_start(os.getpid())
    running = dataclasses.replace(added, state="running", pid=os.getpid(), process_start=start)
    queue._write(running)
    assert queue.entries() == [running]
    with pytest.raises(RequestError, match="a is running; stop it with `stop toy/a`"):
        queue.remove("toy/a")
    # The queue was killed, and this process got the id of the sweep's process.
    queue._write(dataclasses.replace(running, process_start="other/1"))
    assert queue.entries() == [added]
    printed = command("queue")
    assert "waiting" in printed
    assert "No process runs the queue" in printed
    assert queue.remove("toy/a") == added


def test_entry_keeps_the_exact_words_and_folder_of_a_command(
    queue: SweepQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a\tfolder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    added = queue.add(["sweep", "toy", "--space", "my\u00a0space.py"], ["toy/\x1b[2Js"])
    (entry,) = queue.entries()
    assert entry == added
    assert (entry.folder, entry.words[-1]) == (str(folder), "my\u00a0space.py")
    assert entry.names == "toy/?[2Js"  # what is printed cannot control a terminal


def test_damaged_files_are_ignored(queue: SweepQueue) -> None:
    entry = queue.add(["sweep", "a"], ["toy/a"])
    (queue.folder / "x.json").write_text("{")
    file = queue.folder / f"{entry.id}.json"
    (queue.folder / "other.json").write_text(file.read_text())  # the name of another one
    assert queue.entries() == [entry]


def test_lock_is_held_by_one_process_at_a_time(queue: SweepQueue) -> None:
    queue.remove(queue.add(["sweep", "a"], ["toy/a"]).id)
    assert not queue.is_run()
    with lock_to_run(queue.folder) as is_free:
        assert is_free
        assert queue.is_run()
        assert not queue.run(lambda line: None)
    assert not queue.is_run()
    assert queue.run(lambda line: None)  # nothing waits


def test_entry_has_the_absolute_program_of_who_added_it(
    queue: SweepQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin" / "orchestrator"
    script.parent.mkdir()
    script.write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["bin/orchestrator", "sweep", "toy"])
    queue.add(["sweep", "toy"], ["toy/s"])
    monkeypatch.setattr("sys.argv", ["other"])  # of the process that runs the queue
    (entry,) = queue.entries()
    assert entry.program == (str(script),)


def test_queue_starts_while_another_process_looks_whether_it_runs(queue: SweepQueue) -> None:
    queue.remove(queue.add(["sweep", "a"], ["toy/a"]).id)
    with (queue.folder / LOCK).open("w") as file:
        assert try_lock(file.fileno(), fcntl.LOCK_SH)  # as in is_run
        assert not queue.is_run()  # two may look at a time
        has_ended = threading.Timer(0.2, fcntl.flock, (file, fcntl.LOCK_UN))
        has_ended.start()
        assert queue.run(lambda line: None)
        has_ended.join()


def test_queue_runs_on_a_filesystem_without_locks(
    queue: SweepQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(opened: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    queue.remove(queue.add(["sweep", "a"], ["toy/a"]).id)
    monkeypatch.setattr("fcntl.flock", flock)
    assert not queue.is_run()
    assert queue.run(lambda line: None)


@pytest.mark.parametrize(
    "words", [["--notify", "https://h/x"], ["--notify=https://h/x"], ["--out", "s3://k:s@bucket/r"]]
)
def test_command_with_a_secret_is_refused(queue: SweepQueue, words: list[str]) -> None:
    with pytest.raises(RequestError, match="must not contain credentials"):
        queue.add(["sweep", "toy", *words], ["toy/s"])
    assert queue.entries() == []


def test_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(RequestError, match="others can write to"):
        SweepQueue(tmp_path)
    tmp_path.chmod(0o700)
    assert SweepQueue(tmp_path).entries() == []


def test_new_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    queue = SweepQueue(queue_folder())
    assert queue.entries() == []
    assert not queue.is_run()
    assert queue.run(lambda line: None)
    assert not list(tmp_path.iterdir())  # looking creates nothing
    queue.add(["sweep", "a"], ["toy/a"])
    folder = queue.folder
    assert folder.is_relative_to(tmp_path / "state" / "orchestrator" / "queue")
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="set XDG_STATE_HOME"):
        SweepQueue(tmp_path / "file" / "queue")
