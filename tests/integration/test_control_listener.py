"""Commands, answers and ``driver.json`` as files, and the thread that follows commands."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.fs
import pytest

from orchestrator.control.commands import (
    Answer,
    Command,
    read_answer,
    read_commands,
    send,
    write_answer,
)
from orchestrator.control.drivers import (
    LOST,
    Driver,
    Progress,
    RunningTrial,
    new_driver,
    read_driver,
    read_drivers,
    remove_ended,
    write_driver,
)
from orchestrator.control.listener import Listener
from orchestrator.control.request import RunningSweep, request, with_driver_state
from orchestrator.control.steering import Steering
from results.tables.overview import damaged_overview
from tasks.contract import StoreError

DISK = pyarrow.fs.LocalFileSystem()


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    made = new_driver("toy/s", "local", "runs/toy/s/logs/x.log")
    write_driver(DISK, str(tmp_path), made)
    return made


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- files ----------------------------------------------------------------------------------------


def test_driver_is_read_as_it_was_written(tmp_path: Path, driver: Driver) -> None:
    trial = RunningTrial(
        trial_id="a1", parameters="lr=0.1", step="epoch 1/3", metrics="0.5", is_waiting=False
    )
    progress = Progress(counts={"finished": 2}, total=9, stages=("points",), running=(trial,))
    written = dataclasses.replace(driver, state="paused", progress=progress)
    write_driver(DISK, str(tmp_path), written)
    assert read_drivers(DISK, str(tmp_path)) == [written]


def test_damaged_or_newer_driver_files(tmp_path: Path, driver: Driver) -> None:
    file = tmp_path / "control" / driver.id / "driver.json"
    file.write_text(file.read_text().replace('"engine"', '"color": "red", "engine"'))
    assert read_driver(DISK, str(tmp_path), driver.id) == driver
    valid = json.loads(file.read_text())
    wrong: list[dict[str, object]] = [
        {"since": "yesterday"},
        {"updated": "2026-01-01T00:00:00"},  # without a time zone
        {"pid": "1"},
        {"state": "flying"},
        {"progress": {"running": [1]}},
        {"id": "../../../other"},  # commands are written to, and deleted from, the folder id
    ]
    for text in ("", "[]", "{}", '{"id": 1}', *(json.dumps(valid | each) for each in wrong)):
        file.write_text(text)
        assert read_driver(DISK, str(tmp_path), driver.id) is None
    assert read_drivers(DISK, str(tmp_path)) == []


def test_files_cannot_control_a_terminal(tmp_path: Path, driver: Driver) -> None:
    write_driver(DISK, str(tmp_path), dataclasses.replace(driver, host="\x1b[2Jhost"))
    (found,) = read_drivers(DISK, str(tmp_path))
    assert found.host == "?[2Jhost"


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 10**30])
def test_only_one_process_counts_as_alive(driver: Driver, pid: int) -> None:
    assert not dataclasses.replace(driver, pid=pid).is_alive()


def test_driver_of_another_machine_is_lost_without_news(driver: Driver) -> None:
    now = datetime.now(UTC)
    far = dataclasses.replace(driver, host="far", pid=1, updated=now.isoformat())
    assert driver.is_alive()
    assert far.is_alive(now + LOST - timedelta(seconds=1))
    assert not far.is_alive(now + LOST)
    assert not dataclasses.replace(driver, state="ended").is_alive()


def test_only_ended_drivers_are_removed(tmp_path: Path, driver: Driver) -> None:
    ended = dataclasses.replace(driver, id="ended", state="ended")
    write_driver(DISK, str(tmp_path), ended)
    remove_ended(DISK, str(tmp_path))
    assert read_drivers(DISK, str(tmp_path)) == [driver]


def test_commands_are_read_in_order_until_they_are_answered(tmp_path: Path, driver: Driver) -> None:
    path = str(tmp_path)
    sent = [Command(action="pause"), Command(action="cancel", trial="a", reason="slow")]
    names = [send(DISK, path, driver, command) for command in sent]
    (tmp_path / "control" / driver.id / "9-cancel.json").write_text("{")  # damaged
    (tmp_path / "control" / driver.id / "9-exec.json").write_text('{"action": "exec"}')
    found = read_commands(DISK, path, driver)
    assert [dataclasses.replace(each, name="") for each in found] == sent
    assert read_answer(DISK, path, driver, names[0]) is None
    write_answer(DISK, path, driver, found[0], Answer(done=True, message="pauses"))
    assert read_answer(DISK, path, driver, names[0]) == Answer(done=True, message="pauses")
    assert [each.action for each in read_commands(DISK, path, driver)] == ["cancel"]


def test_commands_to_another_driver_are_not_read(tmp_path: Path, driver: Driver) -> None:
    later = new_driver("toy/s", "local", "")
    write_driver(DISK, str(tmp_path), later)
    send(DISK, str(tmp_path), driver, Command(action="stop"))
    assert read_commands(DISK, str(tmp_path), later) == []


def test_request_waits_while_the_driver_cannot_be_read(
    tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.control.request.WAIT_SECONDS", 0.3)
    sweep = RunningSweep(filesystem=DISK, path=str(tmp_path), full_name="toy/s", drivers=[driver])
    file = tmp_path / "control" / driver.id / "driver.json"
    assert request(sweep, driver, Command(action="stop")) is None  # it runs, but does not answer
    file.unlink()
    file.symlink_to(file)  # it cannot be opened
    assert request(sweep, driver, Command(action="stop")) is None
    file.unlink()
    answer = request(sweep, driver, Command(action="stop"))
    assert answer == Answer(done=False, message="the sweep has ended")


# --- the listener ---------------------------------------------------------------------------------


def test_listener_follows_and_answers_commands(tmp_path: Path) -> None:
    path, driver = str(tmp_path), new_driver("toy/s", "local", "")
    steering, stopped = Steering(), list[bool]()
    held, lines = False, list[str]()

    def ask(command: Command) -> Answer:
        name = send(DISK, path, driver, command)
        wait_for(lambda: read_answer(DISK, path, driver, name))
        answer = read_answer(DISK, path, driver, name)
        assert answer is not None
        return answer

    def state() -> str:
        found = read_driver(DISK, path, driver.id)
        assert found is not None
        return found.state

    def stop() -> None:
        stopped.append(True)

    with Listener(DISK, path, driver, steering, stop, lambda: bool(stopped)) as listener:
        listener.connect(lambda: Progress(total=7), lambda: held, lines.append)
        assert ask(Command(action="resume")).message == "was not paused"
        assert ask(Command(action="pause")).done
        assert steering.is_paused
        assert state() == "pausing"
        held = True
        wait_for(lambda: state() == "paused")
        assert ask(Command(action="pause")).message == "was paused already"
        assert ask(Command(action="resume")).message == "runs again"
        assert not steering.is_paused
        name = send(DISK, path, driver, Command(action="cancel", trial="a", reason="slow"))
        wait_for(lambda: steering._cancellations)
        (cancellation,) = steering.take_cancellations()
        assert (cancellation.trial, cancellation.reason) == ("a", "slow")
        cancellation.answer(Answer(done=True, message="is cancelled", trial_id="abc"))
        wait_for(lambda: read_answer(DISK, path, driver, name))
        assert ask(Command(action="stop")).done
        assert stopped == [True]
        assert state() == "stopping"
        left = send(DISK, path, driver, Command(action="cancel", trial="b", reason="slow"))
        wait_for(lambda: steering._cancellations)
    assert state() == "ended"
    last = read_answer(DISK, path, driver, left)
    assert last is not None
    assert last.message == "the sweep has ended"
    assert len(lines) == 3


def test_listener_survives_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    driver = new_driver("toy/s", "local", "")
    with Listener(DISK, str(path), driver, Steering(), lambda: None, lambda: False):
        pass


def test_change_that_two_threads_ask_for_happens_once() -> None:
    changes, others = list[bool](), list[threading.Thread]()

    def on_change(is_paused: bool) -> None:
        """While one thread makes the change, another asks for it."""
        changes.append(is_paused)
        if changes.count(is_paused) == 1:
            action = steering.pause if is_paused else steering.resume
            others.append(threading.Thread(target=action, daemon=True))
            others[-1].start()
            others[-1].join(0.2)  # it waits if it is right

    steering = Steering(on_change)
    for change in (steering.pause, steering.resume):
        change()
        for other in others:
            other.join()
    assert changes == [True, False]
    assert steering.num_pauses == 1


# --- what `list` shows ----------------------------------------------------------------------------


def test_list_shows_what_the_processes_of_a_sweep_do(tmp_path: Path) -> None:
    root, path = str(tmp_path), f"{tmp_path}/toy/s"
    line = damaged_overview("toy/s", [], StoreError("none"))
    running = dataclasses.replace(line, state="running?")
    assert with_driver_state(running, root).state == "running?"  # nobody says anything
    first = dataclasses.replace(new_driver("toy/s", "local", ""), state="paused")
    write_driver(DISK, path, first)
    assert with_driver_state(running, root).state == "paused"
    assert with_driver_state(line, root) == line  # it does not run
    write_driver(DISK, path, new_driver("toy/s", "local", ""))
    assert with_driver_state(running, root).state == "running"  # the second one does


def test_process_with_the_id_of_a_killed_driver_is_not_the_driver(driver: Driver) -> None:
    assert driver.is_alive()
    boot, ticks = str(driver.process_start).split("/")
    # A container that has started again may have given the id to this process within a second.
    assert not dataclasses.replace(driver, process_start=f"{boot}/{int(ticks) - 1}").is_alive()
    assert not dataclasses.replace(driver, process_start=f"other/{ticks}").is_alive()
    assert dataclasses.replace(driver, process_start=None).is_alive()  # unknown on macOS
