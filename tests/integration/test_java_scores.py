"""METEOR by its program in Java, and what becomes of the output of Java programs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captioning_packs import make_trial, run_steps
from java_programs import write_java

from results.statistics.aggregation import aggregation
from tasks.captioning import java, meteor
from tasks.captioning.java_scores import score_with_java
from tasks.captioning.meteor import METEOR
from tasks.captioning.params import Params
from tasks.captioning.spice import spice_scores
from tasks.contract import RequestError, TrialError
from tasks.interrupt import Interrupted, interruptible

CAPTIONS = [
    "A man riding a horse on the beach.",
    "two dogs play in the snow",  # an entire match
    "a cat",
    "a red bus parked near the street's corner",
    "a café | at ||| night\nwith lights",
    "",
]
REFERENCES = [
    ["A man rides a horse along a beach.", "The person is on a horse."],
    ["two dogs play in the snow", "Dogs are running"],
    ["A cat sits on a mat", "a small cat"],
    ["a bus is parked at the corner of the street"],
    ["the café at night", "..."],
    ["a thing"],
]


def missing_java() -> str:
    """Say what METEOR needs and this machine lacks."""
    try:
        java.find_package("METEOR")
        java.find_java("METEOR")
    except RequestError as error:
        return str(error)
    return ""


@pytest.mark.skipif(bool(missing_java()), reason=missing_java())
def test_meteor_is_that_of_pycocoevalcap(monkeypatch: pytest.MonkeyPatch) -> None:
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dfile.encoding=UTF-8")
    theirs = Meteor()  # starts, while the other process starts, too
    metrics, samples = score_with_java(CAPTIONS, REFERENCES, Params(meteor=True))

    def given(texts: list[list[str]]) -> Any:
        return {n: [{"caption": text} for text in each] for n, each in enumerate(texts)}

    tokenizer = PTBTokenizer()
    references = tokenizer.tokenize(given(REFERENCES))
    total, scores = theirs.compute_score(
        references, tokenizer.tokenize(given([[each] for each in CAPTIONS]))
    )
    assert metrics == {"meteor": pytest.approx(total)}
    assert samples["meteor"] == pytest.approx(scores)
    statistics = np.array(samples["meteor_statistics"])
    assert aggregation(METEOR)(statistics.sum(0)) == pytest.approx(total)

    process = meteor._program()
    trial = make_trial(num_images=20, decoding="greedy", meteor=True)
    plain = make_trial(num_images=20, decoding="greedy")
    (*_, step), (*_, plain_step) = run_steps([trial, plain])
    assert meteor._program() is process
    assert step.samples is not None
    assert plain_step.samples is not None
    assert set(step.metrics) - set(plain_step.metrics) == {"meteor"}
    assert set(step.samples) - set(plain_step.samples) == {"meteor", "meteor_statistics"}
    assert 0 < step.metrics["meteor"] <= 1
    process.close()


def test_spice_reads_and_writes_the_files_of_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [
        {"image_id": number, "scores": {"All": {"f": value}}}
        for number, value in ((1, None), (0, 0.25))
    ]
    script = (
        f'cp "$6" {tmp_path}/given; printf "%s" "$*" > {tmp_path}/words; '
        f"echo '{json.dumps(scores)}' > \"$8\""
    )
    write_java(tmp_path, monkeypatch, script)
    found = spice_scores(["a cat", "a dog"], [["one cat", "cats"], ["dogs"]], "default")
    assert found.tolist() == [0.25, 0]
    assert json.loads((tmp_path / "given").read_text()) == [
        {"image_id": 0, "test": "a cat", "refs": ["one cat", "cats"]},
        {"image_id": 1, "test": "a dog", "refs": ["dogs"]},
    ]
    words = (tmp_path / "words").read_text()
    assert "edu.anu.spice.SpiceScorer" in words
    assert words.endswith("-silent")


def test_a_failure_of_java_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        'echo "Exception in thread main java.lang.OutOfMemoryError" >&2; echo at main >&2; exit 3'
    )
    write_java(tmp_path, monkeypatch, script)
    message = r"^Java failed for .* \(exit status 3\): Exception in .*OutOfMemoryError; remove"
    with pytest.raises(TrialError, match=message):
        spice_scores(["a"], [["b"]], "default")
    with pytest.raises(TrialError, match=message):
        meteor.meteor_statistics(["a"], [["b"]])


def test_a_slow_program_reads_and_writes_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_java(tmp_path, monkeypatch, "sleep 0.6; cat")
    given = "café\n" * 50_000  # more than a pipe holds
    assert java.run_java("meteor=true", [], given) == given


@pytest.fixture
def endless_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A program that never ends; a pipe that says "started" and is open as long as it runs."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_java(tmp_path, monkeypatch, f"exec 9>{path}; echo started >&9; exec sleep 60")
    yield pipe
    os.close(pipe)


def is_readable(pipe: int, seconds: float = 0) -> bool:
    return bool(select.select([pipe], [], [], seconds)[0])


def assert_ended(pipe: int) -> None:
    assert os.read(pipe, 100) == b"started\n"
    assert is_readable(pipe, 5)
    assert os.read(pipe, 100) == b""


def test_an_interrupt_ends_the_program(endless_java: int) -> None:
    with pytest.raises(Interrupted), interruptible(lambda: is_readable(endless_java)):
        java.run_java("spice=default", [])
    assert_ended(endless_java)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_the_program_ends_with_a_killed_worker(endless_java: int) -> None:
    code = "from tasks.captioning.java import run_java; run_java('spice=default', [])"
    with subprocess.Popen([sys.executable, "-c", code]) as worker:
        assert is_readable(endless_java, 60)
        worker.kill()
    assert_ended(endless_java)
