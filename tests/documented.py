"""Every command in the documentation, and how a test shortens it.

A page's commands are the lines of its code blocks, and its code spans, that begin with a program of
``PROGRAMS``. What follows two spaces is the page's remark. All reductions are in this file: a new
kind of command has to be added here before its page passes ``test_documented_commands.py``.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paths import ROOT

PAGES = [
    path
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/**/*.md",
        "benchmarks/README.md",
        "examples/*/README.md",
    )
    for path in sorted(ROOT.glob(pattern))
]

#: The first word of a command; a folder before it does not matter.
PROGRAMS = (
    *("python", "python3", "pip", "orchestrator", "ray", "ruff", "mypy", "pytest"),
    *("sbatch", "docker", "kubectl", "sky", "pipx", "uv", "uvx"),
)

#: Programs that start a sweep elsewhere, or in an environment of its own. The sweep is tested, and
#: the files and extras that they name exist.
LAUNCHERS = ("sbatch", "docker", "kubectl", "sky", "pipx", "uv", "uvx")

#: Set up an environment or run the checks: ``.ci/run`` does it with these very commands.
RUN_BY_CI = (
    *("ruff", "mypy", "pytest", "pip"),
    *("python -m venv", "python -m pip", "python -m pytest", "python -m zensical"),
)

#: What a real sweep of a task adds, so that it takes seconds. DATA is a folder of 24 drawn scenes,
#: MASKS one with masks. Pages also name IMAGES, a folder of images with attributes.
REDUCED_SWEEPS = {
    "retrieval": ("--data", "folder:DATA", "--set", "epochs=2", "--set", "batch_size=8"),
    "captioning": ("--data", "folder:DATA", "--set", "num_images=8"),
    "diffusion": (
        *("--set", "epochs=2", "--set", "features=8", "--set", "draws=64"),
        *("--set", "batch_size=32", "--set", "num_samples=2", "--set", "sampling_steps=2"),
    ),
    "segmentation": (
        *("--data", "folder:MASKS", "--set", "epochs=1", "--set", "num_images=8"),
        *("--set", "batch_size=8", "--set", "image_size=32", "--set", "crop_size=32"),
    ),
    "toy": (),
    "train.py:train": ("--set", "epochs=1"),
    "toy_function.py:polynomial": ("--set", "epochs=1"),
    "descent": (),
    "spiral": ("--set", "epochs=2"),
}

#: What a benchmark adds to run in seconds; None: only its options are parsed, for a reason.
REDUCED_BENCHMARKS: dict[str, tuple[str, ...] | None] = {
    "adapters": ("--images", "32", "--turns", "1"),
    "captioners": ("--images", "8", "--turns", "1"),
    "decoding": ("--images", "32", "--turns", "1"),
    "encoders": (),
    "error_rates": ("--repetitions", "8"),
    "flickr8k": ("--limit", "24", "--seeds", "1", "--out", "OUT"),
    "flickr8k_captioner": ("--limit", "50", "--epochs", "1"),
    "gpu": ("--device", "cpu", "--small", "--turns", "1"),
    "heads": None,  # trains as a plain Tune script does, half an hour
    "many": None,  # starts a cluster of simulated nodes, minutes
    "overhead": None,  # the same, with stock Tune beside it
    "pages": None,  # writes a million rows
    "report_rows": None,  # the same
    "start": None,  # measures starts of a program that every test of a sweep starts
}

#: Modules that are run by name, with the module of their ``main``. Their options are parsed;
#: test_shipped_model and test_gpu_suite run their parts.
MODULES = {"tasks.assets.recipe": "tasks.assets.recipe", "tests.gpu": "gpu.suite"}


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a page, by its words; the program without its folder."""

    page: Path
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {shlex.join(self.words)}"

    @property
    def kind(self) -> str:
        """The program, or the module that Python is asked to run."""
        words = self.words
        if not words[0].startswith("python"):
            return words[0]
        modules = [words[i + 1] for i in range(len(words) - 1) if words[i] == "-m"]
        return f"python -m {modules[-1] if modules[:1] == ['pdb'] else modules[0]}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the program or module."""
        if not self.words[0].startswith("python"):
            return self.words[1:]
        last = len(self.words) - 1 if "-m" not in self.words else self.words.index("-m") + 1
        if self.words[last] == "pdb":
            last += 2
        return self.words[last + 1 :]


def commands_of(page: Path) -> list[Command]:
    """The page's commands in order, those within ``ray exec`` and ``--`` after the outer one."""
    text = page.read_text(encoding="utf-8")
    found = []
    for line in [*_block_lines(text), *_spans(text)]:
        for words in split_commands(line):
            found += [Command(page=page, words=each) for each in [words, *_inner(words)]]
    return list(dict.fromkeys(found))


def code_blocks(page: Path, language: str = "") -> list[str]:
    """The fenced code blocks of a page, of one language or all."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.M | re.S)
    return [textwrap.dedent(code) for _, name, code in blocks if language in ("", name)]


def _block_lines(text: str) -> Iterator[str]:
    """Lines of fenced and indented code, continued lines joined; not of other languages."""
    fence, before = None, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fence = None if fence is not None else line.strip().removeprefix("```")
            continue
        indented = fence is None and re.match(r"(?: {4}|\t)\s*\S", line)
        if not indented and fence not in ("", "bash", "sh", "shell", "console"):
            continue
        line = f"{before}{line.strip().removeprefix('$ ')}"
        if line.endswith("\\"):
            before = line.removesuffix("\\").rstrip() + " "
            continue
        before = ""
        yield line


def _spans(text: str) -> Iterator[str]:
    """Code within sentences that is a whole command: a program, what it does, and to what."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    prose = re.sub(r"^ {4}.*$", "", prose, flags=re.M)
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose):
        line = " ".join(span.split())
        least = 5 if line.startswith("python -m orchestrator") else 3
        if len(line.split()) > least or (line.startswith("python -m") and least == 3):
            yield line


def split_commands(line: str) -> list[tuple[str, ...]]:
    """The commands of a line by their words: the remark cut off, ``&&`` taken apart."""
    line = _without_remark(line)
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split, lexer.commenters = True, ""
        words = list(lexer)
    except ValueError:  # a table or output with a single quote
        return []
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "||", "|", ";", "&"):
            parts.append([])
        else:
            parts[-1].append(word)
    commands = []
    for part in parts:
        while part and re.fullmatch(r"[A-Z_]+=\S*", part[0]):  # variables before a program
            part = part[1:]
        program = part[0].rpartition("/")[2] if part else ""
        if program in PROGRAMS and len(part) > 1:
            commands.append((program, *part[1:]))
    return commands


def _without_remark(line: str) -> str:
    """Up to two spaces, or ``#``, that stand outside quotes."""
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif line.startswith(("  ", " #"), place):
            return line[:place]
    return line


def _inner(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The command that a program starts: on the cluster, in the container or its environment."""
    if words[:2] == ("ray", "exec"):
        return split_commands(words[-1])
    if words[:3] == ("ray", "job", "submit") and "--" in words:
        return split_commands(shlex.join(words[words.index("--") + 1 :]))
    if words[0] == "sbatch":  # the arguments of the batch script
        script = next(place for place, word in enumerate(words) if word.endswith(".sbatch"))
        return [("orchestrator", "sweep", *words[script + 1 :])]
    if words[0] in ("pipx", "uvx") and "orchestrator" in words:
        return [tuple(words[words.index("orchestrator") :])]
    if words[:2] == ("docker", "run"):  # the image is called sweep
        return [("orchestrator", *words[words.index("sweep") + 1 :])]
    if words[0] == "sky" and any(word.startswith("SWEEP=") for word in words):
        sweep = next(word for word in words if word.startswith("SWEEP="))
        return [("orchestrator", "sweep", *shlex.split(sweep.partition("=")[2]))]
    return []
