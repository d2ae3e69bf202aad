"""METEOR 1.5 of captions (Denkowski and Lavie 2014), by the program of pycocoevalcap.

U images, each with a caption and one or more references
"""

from __future__ import annotations

import atexit
import functools
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.captioning.java import failure, find_java, find_package
from tasks.interrupt import check_interrupt

Array = np.ndarray[Any, Any]
OPTION = "meteor=true"
# The parameters for English, section 2 of the paper.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
WEIGHTS = (1.0, 0.6, 0.8, 0.6)  # of matches of words, stems, synonyms and paraphrases
#: METEOR of a corpus from sums of the statistics of ``meteor_statistics``.
METEOR = (
    f"(1 - {GAMMA} * (sums[4] / sums[5]) ** {BETA})"
    f" / ({1 - ALPHA:g} * sums[1] / sums[0] + {ALPHA} * sums[3] / sums[2])"
)


def meteor_statistics(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Array:
    """Return the statistics [U, 6] of tokenized captions, for the reference that fits best.

    They are the weighted matches and the weighted length of the caption, the same of the reference,
    the number of chunks, and the number of matched words. Words count less if they are function
    words, and matches if they are no exact ones. An entire match in one chunk has 0 chunks, as it
    has no penalty.
    """
    return condense(_program().count(captions, references))


def meteor_scores(statistics: Array) -> Array:
    """Return METEOR in 0..1 from statistics [..., 6]; 0 without a match."""
    matches, length, other_matches, other_length, chunks, words = np.moveaxis(statistics, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = 1 / ((1 - ALPHA) * length / matches + ALPHA * other_length / other_matches)
        scores = mean * (1 - GAMMA * (chunks / words) ** BETA)
    return np.where(matches * other_matches > 0, np.nan_to_num(scores), 0.0)


def condense(counts: Array) -> Array:
    """Return the statistics [U, 6] from the counts [U, 23] that the program prints.

    They are the lengths of caption and reference, the numbers of their function words, for each
    kind of match the content words and the function words that matched, each of both; and chunks
    and matched words of both.
    """
    lengths, functions = counts[:, 0:2], counts[:, 2:4]  # [U, 2]: caption, reference
    kinds = counts[:, 4:20].reshape(-1, len(WEIGHTS), 2, 2)  # content or function; which side
    weights = np.array(WEIGHTS)
    word_weights = np.array([DELTA, 1 - DELTA])
    matches = np.einsum("ukfs,k,f->us", kinds, weights, word_weights)
    weighted = DELTA * (lengths - functions) + (1 - DELTA) * functions
    chunks = counts[:, 20]
    is_entire = (kinds.sum((1, 2)) == lengths).all(1) & (chunks == 1)
    return np.stack(
        [
            *(matches[:, 0], weighted[:, 0], matches[:, 1], weighted[:, 1]),
            *(np.where(is_entire, 0, chunks), counts[:, 21:23].mean(1)),
        ],
        axis=1,
    )


class _Program:
    """A process of METEOR, which reads its data for seconds and then counts matches at once."""

    def __init__(self) -> None:
        jar = find_package(OPTION) / "meteor" / "meteor-1.5.jar"
        command = [find_java(OPTION), "-Dfile.encoding=UTF-8", "-Xmx2G", "-jar", str(jar)]
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # as long as the process
        self._process = subprocess.Popen(
            [*command, "-", "-", "-stdio", "-l", "en", "-norm"],
            cwd=Path(jar).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C lets a step finish
        )

    def count(self, captions: Sequence[str], references: Sequence[Sequence[str]]) -> Array:
        """Return the counts [U, 23] of tokenized captions."""
        rows = []
        with self._lock:
            try:
                for caption, texts in zip(captions, references, strict=True):
                    check_interrupt()
                    rows.append(self._ask(" ||| ".join(["SCORE", *texts, caption])))
            except BaseException:  # its answer to the last line may still come
                self.close()
                raise
        return np.array(rows, dtype=float).reshape(-1, 23)

    def _ask(self, line: str) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = ""
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            found = [float(each) for each in answer.split()]
        except (OSError, ValueError):
            found = []
        if not found:
            self._process.kill()
            self._errors.seek(0)
            raise failure(OPTION, self._process.wait(), f"{self._errors.read()}\n{answer}")
        return found

    def close(self) -> None:
        """End the process; the next use starts another one."""
        self._process.kill()
        self._process.communicate()  # also closes its pipes
        self._errors.close()
        _program.cache_clear()


@functools.cache
def _program() -> _Program:
    """Return the process of this worker. It ends with the worker, when its input ends."""
    program = _Program()
    atexit.register(program.close)
    return program
