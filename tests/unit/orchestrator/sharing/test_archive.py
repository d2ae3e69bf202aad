"""Archives: their content, that none is written in part, and which ones are refused."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pickle
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from archives import Files, json_change, read, reseal, write
from harness import run_command as run
from paths import STORED
from toy_results import manifest, result

from orchestrator.sharing.archive import archive_sweep
from results.archive import files as archives
from results.archive import sweep as archived_sweep
from results.archive.sweep import read_archive
from results.render.sweep_tables import render
from results.storage.reading import read_sweep
from results.storage.store import SweepStore
from results.tables.looks import Look, read_looks, write_looks
from tasks.contract import StoreError


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """The stored sweep of the repository as an archive."""
    path = tmp_path / "stored.zip"
    archive_sweep(str(STORED), "toy", "stored", str(path))
    return path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a toy sweep with the weights of all its trials."""
    out = tmp_path_factory.mktemp("kept")
    assert run("sweep", "toy", "--engine=local", "--keep=all", "--out", out)[0] == 0
    return out


# --- what is in one -------------------------------------------------------------------------------


def test_archive_contains_the_sweep(stored: Path) -> None:
    ours, theirs = read_archive(str(stored)), read_sweep(str(STORED), "toy", "stored")
    assert ours.manifest == theirs.manifest
    for table in ("trials", "steps", "samples", "stages"):
        assert getattr(ours, table).equals(getattr(theirs, table)), table
    assert len(ours.rows()) == 12


def test_archive_contains_looks_at_the_test_split(tmp_path: Path) -> None:
    shutil.copytree(STORED, tmp_path / "out")
    sweep = read_sweep(str(tmp_path / "out"), "toy", "stored")
    look = Look(split="test", began="2026-11-26T15:04:00+00:00", command=["sweep"], trials=["a"])
    write_looks(sweep, [look])
    archive_sweep(str(tmp_path / "out"), "toy", "stored", str(tmp_path / "a.zip"))
    assert read_looks(read_archive(str(tmp_path / "a.zip"))) == [look]


def test_archive_has_numbers_instead_of_hosts(tmp_path: Path) -> None:
    workers = ["lab-7:41", None, "lab-8:41", "lab-7:41", "lab-7:42"]
    store = SweepStore(str(tmp_path), "toy", "s", {"lr": "float"})
    store.write_manifest(manifest())
    made = [result(number) for number in range(len(workers))]
    store.add(
        [
            dataclasses.replace(one, trial={**one.trial, "worker": worker})
            for one, worker in zip(made, workers, strict=True)
        ]
    )
    for name in ("a.zip", "again.zip"):
        archive_sweep(str(tmp_path), "toy", "s", str(tmp_path / name))
        found = read_archive(str(tmp_path / name)).trials["worker"].to_pylist()
        assert found == ["worker 1", None, "worker 2", "worker 1", "worker 3"]
        assert not any(b"lab-" in blob for blob in read(tmp_path / name).values())
        shutil.rmtree(tmp_path / "toy")
        with zipfile.ZipFile(tmp_path / name) as zipped:
            zipped.extractall(tmp_path)


def test_unzipped_archive_is_a_sweep(kept: Path, tmp_path: Path) -> None:
    assert run("archive", "toy/paper", tmp_path / "a.zip", "--out", kept)[0] == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as zipped:
        assert zipped.testzip() is None
        zipped.extractall(tmp_path / "there")
    name = "toy/paper"
    here, there = (run("report", name, "--out", each) for each in (kept, tmp_path / "there"))
    assert here == there
    files = {path.name for path in (tmp_path / "there" / name).iterdir()}
    assert {"sweep.json", "requirements.lock", "space.py", "weights"} <= files
    assert (tmp_path / "there" / name / "space.py").read_text().startswith('"""The search spaces')


def test_archive_is_reproducible_byte_for_byte(stored: Path, tmp_path: Path) -> None:
    archive_sweep(str(STORED), "toy", "stored", str(tmp_path / "again.zip"))
    assert (tmp_path / "again.zip").read_bytes() == stored.read_bytes()


def test_weights_are_included_unless_they_are_left_out(kept: Path, tmp_path: Path) -> None:
    status, out, _ = run("archive", "toy/paper", tmp_path / "a.zip", "--out", kept)
    assert status == 0
    assert "with the weights of 4 (" in out
    assert "use --no-weights to leave them out" in out
    assert run("archive", "paper", tmp_path / "b.zip", "--no-weights", "--out", kept)[0] == 0
    weights = [{n for n in read(tmp_path / f) if "/weights/" in n} for f in ("a.zip", "b.zip")]
    assert list(map(len, weights)) == [4, 0]
    member = min(weights[0])
    assert read(tmp_path / "a.zip")[member] == (kept / member).read_bytes()


def test_damaged_weights_are_named_and_nothing_is_written(kept: Path, tmp_path: Path) -> None:
    file = min((kept / "toy" / "paper" / "weights").iterdir())
    blob = file.read_bytes()
    file.write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))
    try:
        status, _, err = run("archive", "toy/paper", tmp_path / "a.zip", "--out", kept)
    finally:
        file.write_bytes(blob)
    assert status == 2
    assert file.name in err
    assert not list(tmp_path.iterdir())


def test_an_incomplete_sweep_is_archived_with_a_warning(tmp_path: Path) -> None:
    out, file = tmp_path / "runs", tmp_path / "a.zip"
    assert run("sweep", "toy", "--engine=local", "--budget=1trials", "--out", out)[0] == 0
    status, output, err = run("archive", "toy/paper", file, "--out", out)
    assert status == 0
    assert "1 trial" in output
    assert err == "Warning: the sweep is not complete: 3 of 4 trials have no result yet.\n"
    assert len(read_archive(str(file)).rows()) == 1


def test_check_accepts_an_archive_on_either_side(stored: Path) -> None:
    status, out, _ = run("check", f"{STORED}/toy/stored", "--against", stored)
    assert status == 0
    assert "no difference" in " ".join(out.split())
    assert run("check", stored, "--against", stored)[0] == 0
    assert "4 reproduced, 1 undecided" in run("check", stored)[1]


# --- whole or not there ---------------------------------------------------------------------------


def test_a_file_is_replaced_only_if_asked(stored: Path) -> None:
    stored.write_bytes(b"mine")
    words = ("archive", "stored", stored, "--out", STORED)
    status, _, err = run(*words)
    assert (status, stored.read_bytes()) == (2, b"mine")
    assert err == f"error: {stored} exists; add --overwrite, or name another file\n"
    assert run(*words, "--overwrite")[0] == 0
    assert read_archive(str(stored)).archive.name == "stored"


# --- what is refused ------------------------------------------------------------------------------


def flip(path: Path) -> None:
    blob = bytearray(path.read_bytes())
    blob[blob.index(b"PAR1") + 500] ^= 1
    path.write_bytes(blob)


def add(name: str, blob: bytes = b"x") -> Callable[[Path], object]:
    """Add a file that the manifest covers."""
    return lambda path: reseal(path, lambda files: files.update({name: blob}))


def unlisted(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("toy/stored/extra.txt", b"x")


def lacking(path: Path) -> None:
    write(path, {k: v for k, v in read(path).items() if "trials" not in k})


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("toy/stored/weights/x.safetensors", bytes(10**8))


def link(path: Path) -> None:
    info = zipfile.ZipInfo("toy/stored/space.py")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(info, b"/etc/passwd")


def twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("toy/stored/sweep.json", b"{}")


def newer(path: Path) -> None:
    files = read(path)
    facts = json.loads(files[archives.MANIFEST]) | {"format": 2}
    write(path, files | {archives.MANIFEST: json.dumps(facts).encode()})


def table(report: dict[str, float]) -> dict[str, Any]:
    """A planned table of one row."""
    return {"title": "t", "note": "", "rows": [{"params": {"degree": 1}, "report": report}]}


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no zip": (
        lambda path: path.write_bytes(b"no zip"),
        "is not an archive of a sweep, or is truncated: ",
    ),
    "half of it": (
        lambda path: path.write_bytes(path.read_bytes()[:9000]),
        "is not an archive of a sweep, or is truncated: File is not a zip file; copy it again",
    ),
    "another zip": (
        lambda path: reseal(path, lambda files: files.clear()) or write_foreign(path),
        "is not an archive of a sweep: it has no MANIFEST.json",
    ),
    "a flipped bit": (flip, "archived.parquet in STORED is damaged ("),
    "an unlisted file": (
        unlisted,
        "is refused: MANIFEST.json does not list 'toy/stored/extra.txt'",
    ),
    "a missing file": (lacking, "is damaged: it lacks 'toy/stored/trials/archived.parquet'"),
    "a way out": (add("../evil.py"), "is refused: it names a file outside of its folder"),
    "a way out within": (add("toy/stored/../../x"), "is refused: it names a file outside of"),
    "an absolute path": (add("/etc/cron.d/x"), "is refused: it names a file outside of its"),
    "backslashes": (add("toy\\..\\x"), "is refused: it names a file outside of its folder"),
    "another kind of file": (
        add("toy/stored/run.sh"),
        "'toy/stored/run.sh' is not a file of a sweep",
    ),
    "another folder": (add("toy/other/sweep.json"), "is not a file of a sweep"),
    "a zip bomb": (bomb, "is refused: 'toy/stored/weights/x.safetensors' is compressed"),
    "a link": (link, "is refused: 'toy/stored/space.py' is a link or a folder"),
    "a name twice": (twice, "is refused: it contains 'toy/stored/sweep.json' twice"),
    "a newer format": (newer, "has format 2, this version reads up to 1: update the project"),
    "a table of another kind": (
        add("toy/stored/trials/more.parquet", b"PAR1" * 40),
        "trials/more.parquet in STORED is not a table of a sweep",
    ),
    "a damaged sweep.json": (
        add("toy/stored/sweep.json", b"{"),
        "sweep.json in STORED is damaged",
    ),
    "a sweep.json of another": (json_change(name="x"), "its sweep.json belongs to another sweep"),
    "an environment": (
        json_change(environment={"diff": 3}),
        "sweep.json in STORED is damaged (its 'environment.diff' must be a string, but is 3); copy",
    ),
    "a list": (json_change(environment=[1]), "its 'environment' must be an object, but is [1]"),
    "a table": (
        json_change(tables=[{"title": "t", "note": "", "rows": [{"params": 3}]}]),
        "its 'tables[0].rows[0].params' must be an object, but is 3",
    ),
    "a number of no level": (
        json_change(tables=[table({"first.x.error": 0.5})]),
        "is refused: no table can be made from it (ValueError: ",
    ),
    "a formula": (
        json_change(
            paired=[
                {"metric": "error", "unit": "point", "value": "squared_error", "where": {}}
                | {"at_most": None, "aggregate": "__import__('os').system('true')"}
            ]
        ),
        "is not valid",
    ),
}


def write_foreign(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("a.txt", b"x")


@pytest.mark.parametrize("command", ["replay", "check"])
@pytest.mark.parametrize("case", REFUSED)
def test_damaged_archive_is_refused_and_nothing_is_written(
    stored: Path, tmp_path: Path, case: str, command: str
) -> None:
    damage, message = REFUSED[case]
    damage(stored)
    before = stored.read_bytes()
    more = ("--engine=local", "--out", tmp_path / "out") if command == "replay" else ()
    words = (stored,) if command == "replay" else (stored, "--against", STORED / "toy" / "stored")
    status, out, err = run(command, *words, *more)
    assert (status, out) == (2, "")
    assert message.replace("STORED", str(stored)) in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["stored.zip"]
    assert stored.read_bytes() == before


def test_oversized_table_is_refused_unread(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archived_sweep, "MAX_CELLS", 100)
    monkeypatch.setattr(pq.ParquetFile, "read", lambda self: pytest.fail("it was read"))
    with pytest.raises(StoreError, match=r"is refused: trials/archived.parquet has \d+ cells"):
        read_archive(str(stored))


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)


@contextlib.contextmanager
def never(mark: Path) -> Iterator[None]:
    yield
    assert not mark.exists(), "code of the archive was run"


def plant(files: Files, mark: Path) -> Sequence[str]:
    """Put code into every part of an archive that can hold bytes or text."""
    code = f"open({str(mark)!r}, 'w').close()\n"
    files["toy/stored/space.py"] = code.encode()
    files["toy/stored/changes.diff"] = code.encode()
    files["toy/stored/requirements.lock"] = b"--index-url http://127.0.0.1:9/\nevil==1\n"
    files["toy/stored/weights/x.safetensors"] = pickle.dumps(Bomb(mark))
    return list(files)


def test_code_in_an_archive_is_never_run(stored: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    reseal(stored, lambda files: plant(files, mark))
    with never(mark):
        words = ("replay", stored, "--engine=local", "--out", tmp_path / "out")
        assert run(*words)[0] == 0
        assert run("check", stored, "--against", stored)[0] == 0


def test_archive_cannot_choose_a_model_that_is_code(stored: Path, tmp_path: Path) -> None:
    json_change(model={"name": "os:getcwd+os.path:abspath", "fingerprint": "1"})(stored)
    status, _, err = run("replay", stored, "--engine=local", "--out", tmp_path / "out")
    assert status == 2
    assert "would run code on this machine, os:getcwd" in err


def test_report_of_an_archive_equals_the_original(stored: Path) -> None:
    from rich.console import Console

    texts = []
    for sweep in (read_archive(str(stored)), read_sweep(str(STORED), "toy", "stored")):
        console = Console(width=100, file=io.StringIO())
        console.print(render(sweep))
        texts.append(console.file.getvalue())  # type: ignore[attr-defined]
    assert texts[0] == texts[1]
