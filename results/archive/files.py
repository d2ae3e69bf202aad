"""Write and read an archive: a zip file of a sweep, with a manifest of hashes.

    MANIFEST.json                   format, task, name; bytes and SHA-256 of all other files
    <task>/<name>/sweep.json
    <task>/<name>/{trials,steps,samples,stages}/archived.parquet
    <task>/<name>/looks.json        if the sweep has looked at the test split
    <task>/<name>/requirements.lock, space.py, changes.diff     if they were recorded
    <task>/<name>/weights/<trial id>.safetensors                if they are archived

An archive that is unpacked into a folder DIR is a sweep under ``--out DIR``. Files are stored
without compression, in a fixed order and without dates, so a sweep always gives the same bytes. An
archive may come from an untrusted source: it is checked completely before it is used, it is read in
memory and never unpacked, and none of its code is run. The hashes detect damage, but they are not a
signature.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from results.storage.atomic_write import atomic_file
from results.storage.store import NAME
from tasks.contract import RequestError, StoreError

FORMAT = 1
MANIFEST = "MANIFEST.json"
MAX_TEXT = 64 * 2**20  # bytes of MANIFEST.json or sweep.json
MAX_FILES = 100_000

_CHUNK = 2**20
_FILES = re.compile(
    r"sweep\.json|looks\.json|requirements\.lock|space\.py|changes\.diff"
    rf"|(trials|steps|samples|stages)/{NAME.pattern}\.parquet|weights/{NAME.pattern}\.safetensors"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file to archive: its name below ``<task>/<name>/``, and a function that opens it."""

    name: str
    open: Callable[[], IO[bytes]]


# --- write ----------------------------------------------------------------------------------------


def write_archive(path: str, task: str, name: str, entries: Sequence[Entry]) -> int:
    """Write an archive atomically, and return its size in bytes.

    Raises:
        StoreError: if it cannot be written, such as on a full disk.
    """
    try:
        with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as zipped:
            files = {}
            for entry in entries:
                with entry.open() as source:
                    member = f"{task}/{name}/{entry.name}"
                    files[member] = _add(zipped, member, source)
            facts = {"format": FORMAT, "task": task, "name": name, "files": files}
            zipped.writestr(_info(MANIFEST), json.dumps(facts, indent=1))
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    return os.path.getsize(path)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # the date is 1980, which every reader accepts
    info.create_system = 3  # Unix, so that the next line sets a mode
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _add(zipped: zipfile.ZipFile, name: str, source: IO[bytes]) -> dict[str, Any]:
    seal, size = hashlib.sha256(), 0
    with zipped.open(_info(name), "w", force_zip64=True) as sink:
        while chunk := source.read(_CHUNK):
            seal.update(chunk)
            size += len(chunk)
            sink.write(chunk)
    return {"bytes": size, "sha256": seal.hexdigest()}


# --- read -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive whose files all match its manifest."""

    path: str
    task: str
    name: str
    digest: str  # SHA-256 of the manifest, and so of the whole content
    files: Mapping[str, Mapping[str, Any]]

    def read(self, name: str) -> bytes:
        """Read a file below ``<task>/<name>/``.

        Raises:
            StoreError: if the archive has changed since it was checked.
        """
        member = f"{self.task}/{self.name}/{name}"
        with _opened(self.path) as zipped, _reading(self.path, member):
            blob = zipped.read(member)
        if hashlib.sha256(blob).hexdigest() != self.files[member]["sha256"]:
            raise StoreError(f"{self.path} has changed while it was read; try again")
        return blob

    def parts(self, table: str) -> list[str]:
        """Return the names of a table's files."""
        prefix = f"{self.task}/{self.name}/"
        names = (member.removeprefix(prefix) for member in self.files)
        return sorted(name for name in names if name.startswith(f"{table}/"))


def is_archive(path: str) -> bool:
    """Return whether a name is that of an archive, which may not exist, and not of a sweep."""
    return path.endswith(".zip") or os.path.isfile(path)


def open_archive(path: str) -> Archive:
    """Check the names, the sizes and the SHA-256 of all files in an archive, and return it.

    Raises:
        RequestError: if there is no such file, or if it is not an archive of a sweep.
        StoreError: if it is damaged or has been changed.
    """
    if not os.path.isfile(path):
        raise RequestError(f"no such file: {path}; give an archive, as `archive NAME FILE` writes")
    with _opened(path) as zipped:
        infos = zipped.infolist()
        members = {info.filename: info for info in infos}
        if MANIFEST not in members:
            raise RequestError(f"{path} is not an archive of a sweep: it has no {MANIFEST}")
        _check_members(path, infos)
        with _reading(path, MANIFEST):
            blob = _read_text(path, zipped, members[MANIFEST])
        archive = _parse(path, blob)
        _check_names(archive, members)
        for member, facts in archive.files.items():
            with _reading(path, member):
                _check_content(zipped, members[member], facts)
    return archive


@contextmanager
def _opened(path: str) -> Iterator[zipfile.ZipFile]:
    try:
        zipped = zipfile.ZipFile(path)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise RequestError(
            f"{path} is not an archive of a sweep, or is truncated: {error}; copy it again"
        ) from None
    with zipped:
        yield zipped


@contextmanager
def _reading(path: str, member: str) -> Iterator[None]:
    """Name the archive and the file in errors from reading a damaged one."""
    try:
        yield
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        raise StoreError(
            f"{member} in {path} is damaged ({error}); copy the archive again from its source"
        ) from None


def _check_members(path: str, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Raise an error for entries that ``write_archive`` never writes, before reading content."""
    if len(infos) > MAX_FILES:
        raise StoreError(f"{path} has {len(infos):,} files; an archive has up to {MAX_FILES:,}")
    seen: set[str] = set()
    for info in infos:
        name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
        if name.startswith(("/", "\\")) or "\\" in name or ".." in name.split("/"):
            raise StoreError(f"{path} is refused: it names a file outside of its folder, {name!r}")
        if name in seen:
            raise StoreError(f"{path} is refused: it contains {name!r} twice")
        if kind not in (0, stat.S_IFREG):  # 0: written by a program that does not set the kind
            raise StoreError(f"{path} is refused: {name!r} is a link or a folder, not a file")
        stored = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
        if not stored or info.flag_bits & 0x1:
            raise StoreError(
                f"{path} is refused: {name!r} is compressed or encrypted, so it was packed by "
                "another program; get the archive as `archive` wrote it"
            )
        seen.add(name)
    if sum(info.file_size for info in infos) > os.path.getsize(path):
        raise StoreError(f"{path} is refused: its files claim more bytes than it has")


def _read_text(path: str, zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MAX_TEXT:
        raise StoreError(f"{path} is refused: {info.filename} has {info.file_size:,} bytes")
    return zipped.read(info)


def _parse(path: str, blob: bytes) -> Archive:
    try:
        facts = json.loads(blob)
        number, files = facts["format"], facts["files"]
        if isinstance(number, int) and number > FORMAT:
            raise StoreError(
                f"{path} has format {number}, this version reads up to {FORMAT}: update the project"
            )
        is_valid = all(
            isinstance(facts[k], str) and NAME.fullmatch(facts[k]) for k in ("task", "name")
        )
        for each in files.values():
            is_valid &= isinstance(each["bytes"], int) and isinstance(each["sha256"], str)
        if not (is_valid and number == FORMAT):
            raise ValueError("a value has the wrong type")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise StoreError(f"{MANIFEST} in {path} is damaged ({why})") from None
    return Archive(
        path=path,
        task=facts["task"],
        name=facts["name"],
        digest=hashlib.sha256(blob).hexdigest(),
        files=files,
    )


def _check_names(archive: Archive, members: Mapping[str, zipfile.ZipInfo]) -> None:
    """Raise an error for files that are missing, unlisted, or not files of a sweep."""
    prefix = f"{archive.task}/{archive.name}/"
    for member in sorted({*members, *archive.files} - {MANIFEST}):
        if member not in archive.files:
            raise StoreError(f"{archive.path} is refused: {MANIFEST} does not list {member!r}")
        if member not in members:
            raise StoreError(f"{archive.path} is damaged: it lacks {member!r}; copy it again")
        if not (member.startswith(prefix) and _FILES.fullmatch(member.removeprefix(prefix))):
            raise StoreError(f"{archive.path} is refused: {member!r} is not a file of a sweep")
    if f"{prefix}sweep.json" not in members:
        raise StoreError(f"{archive.path} is damaged: it lacks {prefix}sweep.json; copy it again")


def _check_content(
    zipped: zipfile.ZipFile, info: zipfile.ZipInfo, facts: Mapping[str, Any]
) -> None:
    seal = hashlib.sha256()
    with zipped.open(info) as source:
        while chunk := source.read(_CHUNK):
            seal.update(chunk)
    if info.file_size != facts["bytes"] or seal.hexdigest() != facts["sha256"]:
        raise ValueError(f"its content does not match {MANIFEST}")
