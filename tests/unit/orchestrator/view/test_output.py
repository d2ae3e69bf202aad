"""Streams that nobody reads anymore."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from orchestrator.view.output import open_output


def test_what_nobody_reads_is_discarded() -> None:
    reader, writer = os.pipe()
    with open_output(writer) as stream:
        print("read", file=stream)
        assert os.read(reader, 100) == b"read\n"
        os.close(reader)
        print("unread", file=stream)
        stream.write("x" * 2**20)
        stream.flush()


def test_output_of_a_closed_terminal_is_discarded() -> None:
    terminal, ours = os.openpty()
    with open_output(ours) as stream:
        assert stream.isatty()
        os.close(terminal)
        print("unread", file=stream, flush=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_an_error() -> None:
    stream = open_output(os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match="No space left"):
        print("lost", file=stream, flush=True)


class Reader:
    """Reads a pipe to its end in a thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._parts = descriptor, list[bytes]()
        self._thread = threading.Thread(target=self._read)

    def start(self) -> None:
        self._thread.start()

    def _read(self) -> None:
        with open(self._descriptor, "rb", buffering=0) as pipe:
            while part := pipe.read(1000):
                self._parts.append(part)

    def text(self) -> str:
        self._thread.join(60)
        return b"".join(self._parts).decode()


def test_slow_reader_of_a_pipe_that_does_not_block_gets_everything() -> None:
    descriptor, writer = os.pipe()
    os.set_blocking(writer, False)
    reader, text = Reader(descriptor), "é" * 2**18  # more than a pipe holds
    with open_output(writer) as stream:
        timer = threading.Timer(0.1, reader.start)
        timer.start()
        stream.write(text)
    timer.join()
    assert reader.text() == text


def test_signal_handler_may_print_during_a_write() -> None:
    descriptor, writer = os.pipe()
    reader, text = Reader(descriptor), "x" * 2**18
    with open_output(writer) as stream:

        def handle(*_: object) -> None:
            reader.start()
            print("from the handler", file=stream)

        before = signal.signal(signal.SIGUSR1, handle)
        timer = threading.Timer(
            0.1, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1)
        )
        timer.start()
        try:
            print(text, file=stream)  # waits, because nobody reads yet
        finally:
            timer.join()
            signal.signal(signal.SIGUSR1, before)
    read = reader.text()
    assert read.replace("from the handler\n", "", 1) == f"{text}\n"
