"""Describes the environment of a run for ``sweep.json``: packages, uncommitted changes, space.

This runs at the start of every sweep, so it must be fast: it takes package names and versions from
the names of the folders in site-packages, without reading files. Secrets and the path of the home
folder are replaced, because others may read the file.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.planning.discovery import load_space
from results.redaction import redact
from results.storage.manifest_parts import Environment, SpaceText
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.planning.spaces import Space

MAX_BYTES = 256 * 2**10  # of the diff, and of the text of the space
MAX_LINE = 1000  # characters; longer lines are usually generated
MAX_UNTRACKED = 20
CHECKOUT = Path(__file__).resolve().parents[2]

_FOLDER = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-py\d.*)?\.(dist|egg)-info")
#: Quoted values assigned to names such as "password", and tokens with a known prefix.
_SECRET = re.compile(
    r"(?i)((?:password|passwd|secret|token|api_?key|access_?key|credential)s?[\"']?\s*[=:]\s*)"
    r"([\"'])[^\"']{8,}\2"
)
_TOKEN = re.compile(r"\b(hf_|ghp_|github_pat_|glpat-|sk-|AKIA|ASIA|xox[abp]-)[A-Za-z0-9_-]{12,}")


def describe_environment(task: str, space: Space) -> Environment:
    """Return what ``sweep.json`` records under ``environment``."""
    frozen, local = distributions()
    diff, untracked = changes()
    return Environment(
        distributions=frozen,
        local=local,
        diff=diff,
        untracked=untracked,
        space=_space_text(task, space),
    )


@cache
def distributions() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (all packages as ``name==version``, the names of those from local folders)."""
    found: dict[str, tuple[str, str]] = {}
    local: set[str] = set()
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            if not entry.endswith((".dist-info", ".egg-info")):
                continue
            named = _name_and_version(Path(folder or ".") / entry)
            if named is None:
                continue
            key = re.sub(r"[-_.]+", "-", named[0]).lower()
            if found.setdefault(key, named) is named and _is_local(Path(folder or ".") / entry):
                local.add(named[0])
    lines = (f"{found[key][0]}=={found[key][1]}" for key in sorted(found))
    return tuple(lines), tuple(sorted(local))


def _name_and_version(path: Path) -> tuple[str, str] | None:
    """Take name and version from the folder's name, or else from its metadata."""
    match = _FOLDER.fullmatch(path.name)
    if match is not None:
        return match["name"], match["version"]
    try:
        found = importlib.metadata.PathDistribution(path)
        return found.metadata["Name"], found.version
    except (KeyError, OSError, ValueError):
        return None


def _is_local(path: Path) -> bool:
    return path.suffix == ".egg-info" or (path / "direct_url.json").exists()


# --- the checkout ---------------------------------------------------------------------------------


@cache
def changes(root: Path = CHECKOUT) -> tuple[str, tuple[str, ...]]:
    """Return the diff and the untracked Python files of a Git checkout; empty outside of one."""
    if not (root / ".git").exists():
        return "", ()
    git = ["git", "--no-optional-locks", "-C", str(root)]
    try:
        diff = _output([*git, "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv"])
        new = _output([*git, "ls-files", "--others", "--exclude-standard", "--", "*.py"])
    except OSError:
        return "", ()
    untracked = new.decode(errors="replace").splitlines()
    return shorten(diff, "diff") if diff else "", tuple(untracked[:MAX_UNTRACKED])


def _output(command: list[str]) -> bytes:
    """Return the first ``MAX_BYTES`` + 1 bytes that a command prints."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        found = process.stdout.read(MAX_BYTES + 1)
        process.kill()
    return found


def _space_text(task: str, space: Space) -> SpaceText:
    """Return the text of the space's file, if it can be read."""
    if space.text:
        return SpaceText(
            name=space.name,
            file="grid.py" if space.tables else "space.py",
            text=shorten(space.text.encode(), "text"),
        )
    try:
        file = Path(space.file or str(load_space(task).__file__))
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
    except (OSError, RequestError):
        return SpaceText(name=space.name)
    return SpaceText(name=space.name, file=file.name, text=shorten(text, "text"))


# --- text without secrets -------------------------------------------------------------------------


def shorten(blob: bytes, what: str) -> str:
    """Decode at most ``MAX_BYTES`` of text, and hide secrets and the home folder.

    A note replaces every very long line and the rest of a long text.
    """
    lines = []
    for line in blob[:MAX_BYTES].decode(errors="replace").split("\n"):
        if len(line) > MAX_LINE:
            lines.append(f"{line[:1]}# a line of {len(line)} characters was left out")
        else:
            lines.append(hide_secrets(line))
    text = "\n".join(lines)
    if len(blob) > MAX_BYTES:
        text += f"\n# truncated: the {what} exceeds {MAX_BYTES // 2**10} KiB\n"
    return text


def hide_secrets(line: str) -> str:
    """Replace tokens, passwords and the home folder in a line."""
    line = _TOKEN.sub(r"\1***", _SECRET.sub(r"\1\2***\2", redact(line)))
    home = os.path.expanduser("~").rstrip("/")
    return re.sub(rf"{re.escape(home)}(?=/|\b)", "~", line) if len(home) > 1 else line
