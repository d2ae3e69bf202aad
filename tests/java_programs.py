"""A stand-in for Java and pycocoevalcap, for what does not need the real ones."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tasks.captioning.spice import JARS


def write_java(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str = "exit 0") -> Path:
    """Install a program ``java``, which is a shell script, and the folders of pycocoevalcap.

    The jars of SPICE are empty files. Returns the folder of pycocoevalcap.
    """
    package = folder / "pycocoevalcap"
    for name in ("meteor", "spice/lib"):
        (package / name).mkdir(parents=True)
    (package / "__init__.py").touch()
    for jar in JARS:
        (package / "spice" / "lib" / jar).touch()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "pycocoevalcap", raising=False)  # the installed one
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(folder))
    return package
