"""METEOR and SPICE: parameters, ids, and what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from captioning_packs import make_trial
from java_programs import write_java

from tasks.captioning.spice import JARS
from tasks.contract import RequestError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that are not real, and no others."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return write_java(tmp_path, monkeypatch)


def test_ids_depend_on_what_is_measured_and_not_on_folders(package: Path, tmp_path: Path) -> None:
    shutil.copytree(package / "spice" / "lib", tmp_path / "jars")
    plain = make_trial()
    assert make_trial(meteor=False) == plain
    ids = [make_trial(meteor=True).id, make_trial(spice="default").id, plain.id]
    assert len(set(ids)) == 3
    assert make_trial(spice=str(tmp_path / "jars")).id == ids[1]


def test_workers_in_other_folders_find_the_jars(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(package / "spice" / "lib", tmp_path / "jars")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("jars", "~/jars"):
        assert make_trial(spice=folder).params.spice == str(tmp_path / "jars")
    assert make_trial(spice="default").params.spice == "default"


def test_the_message_names_what_is_missing(package: Path, tmp_path: Path) -> None:
    (package / "spice" / "lib" / JARS[1]).unlink()
    with pytest.raises(RequestError, match=rf"^spice=default needs {JARS[1]} in {package}/spice/l"):
        make_trial(spice="default")
    with pytest.raises(RequestError, match=rf"^spice={tmp_path} needs {JARS[0]} and {JARS[1]} in"):
        make_trial(spice=str(tmp_path))
    (tmp_path / "bin" / "java").unlink()
    for options in ({"meteor": True}, {"spice": "default"}):
        with pytest.raises(RequestError, match="needs Java, which is not installed: apt-get inst"):
            make_trial(**options)


def test_the_message_names_the_package(package: Path) -> None:
    (package / "meteor").rmdir()
    with pytest.raises(RequestError, match=r"needs pycocoevalcap, .*: pip install '.*\[meteor\]'"):
        make_trial(meteor=True)
