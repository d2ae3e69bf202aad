"""``webdataset:DIR`` or ``webdataset:/data/{000000..000009}.tar``: shards with captions.

The members of a sample have one name up to the first dot: an image (``.jpg``, ``.jpeg``, ``.png``
or ``.webp``) and its captions, in ``.txt`` (one a line) or ``.json`` (an object with ``caption``,
``captions`` or ``text``; ``,captions=KEY`` names another key). Other members are ignored.

The split of a shard is in its path: a folder or a part of the file's name that is ``train``,
``val`` (or ``valid``, ``validation``, ``dev``) or ``test`` (or ``eval``), with or without a number
(``val2017``). DIR, or the last folder before the braces, counts if this is its whole name. Without
one, it is ``train``. Shards are sorted by path, and samples keep their order.

Format: https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tasks.contract import DataError, content_id
from tasks.datasets.base import CaptionedImages, Entry, check_entries
from tasks.datasets.caption_columns import choose_captions, to_captions
from tasks.datasets.files import check_image, read_image
from tasks.datasets.options import format_options, parse_options
from tasks.datasets.shard_pattern import find_shards
from tasks.datasets.shards import Member, list_members
from tasks.fingerprint import fingerprint_files

IMAGES = ("jpg", "jpeg", "png", "webp")
MAX_BYTES = {"txt": 1 << 20, "json": 1 << 20} | dict.fromkeys(IMAGES, 1 << 27)
SPLITS = {
    "train": "train",
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "eval"), "test"),  # eval is test, as in the Hub's folders
}
_SPLIT = re.compile(rf"({'|'.join(SPLITS)})\d*")
Shards = CaptionedImages[Member]


def open_webdataset(text: str) -> Shards:
    """List the samples of the shards of a folder or a pattern, with ``,captions=KEY`` or without.

    Raises:
        DataError: if a shard is missing or damaged, or a sample lacks its image or captions.
    """
    pattern, options = parse_options(text, ["captions"], repeated=["captions"])
    keys = options.get("captions", ())
    path, root, shards = find_shards(pattern)
    splits: dict[str, list[Entry[Member]]] = {}
    for shard in shards:
        split = split_of(shard.relative_to(root), root.name)
        splits.setdefault(split, []).extend(_read_shard(root, shard, tuple(keys), _version(shard)))
    for split, entries in splits.items():
        check_entries(path, split, entries)
    if not any(splits.values()):
        raise DataError(f"{path} has no samples; add an image and its captions to a tar file")
    by_shard: dict[Path, list[Member]] = {}
    for entries in splits.values():
        for _, member, _ in entries:
            by_shard.setdefault(member.shard, []).append(member)

    def check(shard: Path) -> None:
        for member in by_shard.get(shard, ()):
            check_image(member.read(), member.shown)

    def fingerprint() -> str:
        files = fingerprint_files(root, shards, check)
        return content_id([files, list(keys)]) if keys else files  # the id omits the options

    return CaptionedImages(
        name=f"webdataset:{path}{format_options(options, ['captions'])}",
        root=path,
        splits=splits,
        read=lambda member: read_image(member.read(), member.shown),
        compute_fingerprint=fingerprint,
        how_to_add="name the split in the names of its shards",
    )


def split_of(shard: Path, root: str = "") -> str:
    """Return the split that a shard's path names: ``val/000.tar``, ``x-test2017-000.tar``.

    Args:
        shard: the path below the root.
        root: the name of the root, which counts as a whole, if nothing in the path does.
    """
    words = [*re.split(r"[/._-]+", shard.as_posix().casefold()), root.casefold()]
    return next((SPLITS[m[1]] for m in map(_SPLIT.fullmatch, words) if m), "train")


def _version(shard: Path) -> tuple[int, int] | None:
    """Return the size and the modification time, or None if there is no such file."""
    try:
        status = shard.stat()
    except OSError:  # reported when it is read
        return None
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=10_000)  # web pages look at the data again and again
def _read_shard(
    root: Path, shard: Path, keys: tuple[str, ...], version: tuple[int, int] | None
) -> list[Entry[Member]]:
    samples: dict[str, dict[str, Member]] = {}
    for member in list_members(shard):
        folder, slash, name = member.name.rpartition("/")
        key, _, extension = name.partition(".")
        extension = extension.casefold()
        if not key or key.startswith("__") or extension not in MAX_BYTES:
            continue  # metadata of a system, or of another use
        if member.size > (limit := MAX_BYTES[extension]):
            raise DataError(
                f"{member.shown} has {member.size:,} bytes, more than {limit:,}; make it smaller"
            )
        members = samples.setdefault(f"{folder}{slash}{key}", {})
        if extension in members:
            raise DataError(f"{member.shown} is in the file twice; remove one of them")
        members[extension] = member
    prefix = shard.relative_to(root).with_suffix("").as_posix()
    return [
        (f"{prefix}/{key}", _image_of(shard, key, members), _captions_of(members, keys))
        for key, members in samples.items()
    ]


def _image_of(shard: Path, key: str, members: dict[str, Member]) -> Member:
    images = [members[extension] for extension in IMAGES if extension in members]
    if len(images) != 1:
        what = "no image" if not images else "several images"
        raise DataError(f"{shard}: sample {key!r} has {what}; give it one of .{', .'.join(IMAGES)}")
    return images[0]


def _captions_of(members: dict[str, Member], keys: Sequence[str]) -> tuple[str, ...]:
    """Return the lines of the text, or else the captions of the JSON object."""
    member = members.get("txt") if "txt" in members and not keys else members.get("json")
    if member is None:
        return ()
    try:
        text = member.read().decode()
        content = text.split("\n") if member is members.get("txt") else json.loads(text)
    except (ValueError, RecursionError) as error:
        why = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise DataError(f"{member.shown} is not valid {why}; fix it") from None
    if isinstance(content, dict):
        chosen = choose_captions(list(content), keys, member.shown)
        return tuple(c for name in chosen for c in to_captions(content[name], member.shown))
    return to_captions(content, member.shown)
