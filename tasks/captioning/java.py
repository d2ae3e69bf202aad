"""Programs in Java that come with pycocoevalcap: where they are, and what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tasks.contract import RequestError, TrialError
from tasks.interrupt import check_interrupt

PACKAGE = "pycocoevalcap"
_INSTALL = "pip install 'multimodal-sweep-orchestrator[meteor]'"
_SECONDS = 0.5  # between two looks for an interrupt
# Runs a program that Linux kills when the thread that started it ends, as with its process.
# A function of Popen (preexec_fn) is not safe in a process with threads.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):  # otherwise, it has ended before
    os.execv(sys.argv[2], sys.argv[2:])
"""


def find_package(option: str) -> Path:
    """Return the folder of pycocoevalcap.

    Args:
        option: the parameter that needs it, for the error message.

    Raises:
        RequestError: if it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)  # a package without __init__.py
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [Path(folder) for folder in folders if (Path(folder) / "meteor").is_dir()]
    if not found:
        raise RequestError(f"{option} needs {PACKAGE}, which is not installed: {_INSTALL}")
    return found[0]


def find_java(option: str) -> str:
    """Return the path of the program ``java``: that of ``JAVA_HOME``, or the first in ``PATH``.

    Raises:
        RequestError: if there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if found is None:
        raise RequestError(
            f"{option} needs Java, which is not installed: apt-get install default-jre-headless, "
            "or set JAVA_HOME"
        )
    return found


def run_java(option: str, arguments: Sequence[str], given: str = "") -> str:
    """Run a Java program to its end and return what it prints.

    It is killed on an interrupt and, on Linux, also if this process is killed.

    Raises:
        TrialError: if it fails, with the last line of its errors.
        Interrupted: if the sweep must stop.
    """
    command = [find_java(option), "-Dfile.encoding=UTF-8", *arguments]
    if sys.platform == "linux":
        command = [sys.executable, "-ISc", _DIE_WITH_PARENT, str(os.getpid()), *command]
    # A file, because communicate() of Python 3.11 loses the rest of the input after a timeout.
    with tempfile.TemporaryFile() as source:
        source.write(given.encode(errors="replace"))
        source.seek(0)
        with subprocess.Popen(
            command,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches only this process, which checks for it
        ) as process:
            printed, errors = _communicate(process)
    if process.returncode:
        raise failure(option, process.returncode, errors)
    return printed


def _communicate(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the output and the errors of a process, which an interrupt kills."""
    try:
        while True:
            try:
                return process.communicate(timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                check_interrupt()
    except BaseException:
        process.kill()
        raise


def failure(option: str, status: int, errors: str) -> TrialError:
    """Return the error of a Java program that has ended with a status."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    reason = next((line for line in lines if "Error" in line or "Exception" in line), "no message")
    return TrialError(
        f"Java failed for {option} (exit status {status}): {reason}; remove {option} to score "
        "without it"
    )


def tokenize(option: str, sentences: Sequence[str]) -> list[str]:
    """Return the tokens of each sentence, separated by spaces, as the COCO evaluation has them.

    The PTB tokenizer of Stanford CoreNLP makes them, in lower case and without punctuation.
    """
    folder = find_package(option) / "tokenizer"
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, STANFORD_CORENLP_3_4_1_JAR

    # A sentence is a line; also other signs than a newline would end it.
    lines = [" ".join(sentence.split()) for sentence in sentences]
    arguments = ["-cp", str(folder / STANFORD_CORENLP_3_4_1_JAR)]
    arguments += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    arguments += ["-encoding", "UTF-8"]
    found = run_java(option, arguments, "".join(f"{line}\n" for line in lines)).split("\n")[:-1]
    if len(found) != len(lines):
        raise TrialError(
            f"{option}: Java's tokenizer returned {len(found)} lines for {len(lines)} sentences; "
            f"remove {option} to score without it"
        )
    # METEOR separates sentences by "|||", of which the tokenizer makes three words.
    return [" ".join(word for word in line.split() if word not in PUNCTUATIONS) for line in found]
