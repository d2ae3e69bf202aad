"""Pictures of ``show`` in terminals that answer its questions as real ones do, or not at all."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from drawn_charts import sweep_of
from screens import Screen
from sweeps_with_figures import result

from orchestrator.reports.show import show
from orchestrator.view.graphics import find_graphics
from results.figures.graphics import BLOCKS, Graphics, Protocol
from results.storage.reading import Sweep, read_sweep

KITTY = "\x1b_Gi=31;OK\x1b\\\x1b[6;20;9t\x1b[?62;c"
SIXEL = "\x1b[6;20;9t\x1b[?62;4;22c"
XTERM = "\x1b[?64;1;2;6;9;15;22c"
QUESTION = "\x1b[c"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    folder = tmp_path_factory.mktemp("pictures")
    sweep_of(folder, result("one", 0.5))
    return read_sweep(str(folder), "toy", "s")


def in_terminal(
    function: Callable[[], object],
    answer: str,
    variables: Mapping[str, str] | None = None,
    keys: str = "",
    pixels: int = 0,
    rest: str = "",
) -> str:
    """Call a function in a terminal of 100 columns; returns what it writes.

    Args:
        function: it is called in a forked process.
        answer: what the terminal answers when it is asked for its attributes.
        variables: the environment, besides TERM=xterm-256color.
        keys: what the user has typed before.
        pixels: the width of a cell, half its height; 0 if the terminal does not report it.
        rest: the rest of the answer, which comes 0.7 s later.
    """
    ready, go = os.pipe()
    process, terminal = pty.fork()
    if process == 0:
        try:
            os.read(ready, 1)
            os.environ.clear()
            os.environ.update({"TERM": "xterm-256color", **(variables or {})})
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
            function()
            sys.stdout.flush()
        except BaseException:
            os.write(1, traceback.format_exc().encode())
        finally:
            os._exit(0)
    size = struct.pack("4H", 30, 100, 100 * pixels, 60 * pixels)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
    os.write(terminal, keys.encode())
    os.write(go, b"x")
    written, deadline, is_answered = b"", time.monotonic() + 60, False
    while time.monotonic() < deadline and select.select([terminal], [], [], 60)[0]:
        try:
            written += os.read(terminal, 65536)
        except OSError:  # the process has ended
            break
        if QUESTION.encode() in written and not is_answered:
            os.write(terminal, answer.encode())
            is_answered = True
            if rest:
                time.sleep(0.7)
                os.write(terminal, rest.encode())
    for descriptor in (terminal, ready, go):
        os.close(descriptor)
    os.waitpid(process, 0)
    return written.decode()


def shown(sweep: Sweep, answer: str, graphics: str = "auto") -> str:
    def show_trial() -> None:
        show(sweep, "one", save=None, pictures=None, graphics=graphics)

    return in_terminal(show_trial, answer)


@pytest.mark.parametrize("answer", [KITTY, SIXEL])
def test_a_terminal_that_can_gets_pixels(sweep: Sweep, answer: str) -> None:
    output = shown(sweep, answer)
    _, _, after = output.partition(QUESTION)
    assert ("\x1b_Ga=T" in after) == (answer == KITTY)
    assert ("\x1bP0;1;0q" in after) == (answer == SIXEL)
    screen = Screen().show(after)
    (line, *_), _ = screen.pictures
    pixels = [(at, column, image.getcolors()) for at, column, image in screen.pictures]
    area = 120 * 120  # 15 times the 8 pixels of a picture, in cells of 9 x 20
    assert pixels == [(line, 0, [(area, (255, 0, 0))]), (line, 15, [(area, (0, 0, 255))])]
    assert screen.under(line, 0, 29, 7) == {" "}
    assert screen.under(line - 1, 0, 1, 1) == {"x"}  # the group of both pictures


@pytest.mark.parametrize("answer", [XTERM, ""])
def test_a_terminal_that_cannot_gets_half_blocks(sweep: Sweep, answer: str) -> None:
    _, _, after = shown(sweep, answer).partition(QUESTION)
    assert after.count("▀") == 2 * 14 * 7
    assert not re.search("\x1b[^\\[]", after)  # only colors


@pytest.mark.parametrize(
    ("graphics", "variables", "pixels"),
    [
        ("auto", {"TMUX": "/tmp/tmux,1,0", "KITTY_WINDOW_ID": "1"}, None),
        ("auto", {"TERM": "screen-256color"}, None),
        ("auto", {"CI": "true", "TERM": "xterm-kitty"}, None),
        ("auto", {"TERM_PROGRAM": "Apple_Terminal"}, None),
        ("blocks", {"TERM": "xterm-kitty"}, None),
        ("auto", {"TERM": "xterm-kitty"}, "kitty"),
        ("auto", {"TERM_PROGRAM": "iTerm.app"}, "sixel"),
        ("sixel", {"TERM": "xterm-kitty"}, "sixel"),
        ("kitty", {"CI": "true"}, "kitty"),
    ],
)
def test_a_known_terminal_is_not_asked(
    graphics: str, variables: dict[str, str], pixels: Protocol | None
) -> None:
    found = in_terminal(lambda: print(find_graphics(graphics)), KITTY, variables, pixels=10)
    expected = BLOCKS
    if pixels:
        expected = Graphics(protocol=pixels, cell_width=10, cell_height=20)
    assert found.strip() == str(expected)


def test_no_pictures_and_no_question_without_need(sweep: Sweep) -> None:
    output = shown(sweep, KITTY, graphics="none")
    assert QUESTION not in output
    assert "▀" not in output
    assert "--pictures FILE.png writes the pictures" in output


def left(keys: str, answer: str, rest: str = "") -> str:
    """Return the keys that are left to the program that reads next, after pictures were chosen."""

    def choose_and_read() -> None:
        print(find_graphics("auto"), flush=True)
        before = termios.tcgetattr(0)
        assert before[3] & termios.ICANON
        assert before[3] & termios.ECHO
        before[3] &= ~termios.ICANON
        termios.tcsetattr(0, termios.TCSANOW, before)
        found = b""
        while select.select([0], [], [], 0.2)[0]:
            found += os.read(0, 100)
        print("left", found)

    return in_terminal(choose_and_read, answer, keys=keys, rest=rest)


def test_keys_typed_before_stay() -> None:
    output = left("ls -l", KITTY)
    assert QUESTION not in output
    assert "left b'ls -l'" in output


def test_keys_typed_meanwhile_stay() -> None:
    output = left("", f"l{KITTY[:10]}{KITTY[10:]}s")
    assert "protocol='kitty'" in output
    # The kernel may forbid to give a key back that came before the answer.
    path = Path("/proc/sys/dev/tty/legacy_tiocsti")
    forbids = not path.exists() or path.read_text().strip() != "1"
    assert re.search("left b'(sl|ls)'" if not forbids else "left b'l?s'", output)


def test_an_answer_that_has_begun_may_take_longer() -> None:
    output = left("", KITTY[:10], KITTY[10:])
    assert "protocol='kitty'" in output
    assert "left b''" in output


@pytest.mark.parametrize("graphics", ["auto", "kitty", "sixel"])
def test_a_file_gets_no_escape_sequences(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphics: str
) -> None:
    monkeypatch.setenv("TERM", "xterm-kitty")
    with open(tmp_path / "output", "w") as output:
        assert find_graphics(graphics, output.fileno()) == BLOCKS
        monkeypatch.setattr(sys, "stdout", output)
        show(sweep, "one", save=None, pictures=None, graphics=graphics)
    text = (tmp_path / "output").read_text()
    assert "\x1b" not in text
    assert "--pictures FILE.png writes them" in text
