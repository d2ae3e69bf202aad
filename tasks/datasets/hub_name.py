"""The value of ``--data hub:...``.

hub:USER/NAME                     a data set of the Hugging Face Hub
hub:USER/NAME@REVISION            a branch, a tag or a commit
hub:FOLDER                        a folder with the files of such a data set, or of save_to_disk

Options follow in any order; ``,val=SHARE`` comes after them:

,config=NAME      the configuration (subset)
,image=COLUMN     the column with images; needed if there are several
,captions=COLUMN  the column with captions; repeat it for several columns
,id=COLUMN        the column with the ids of images; of a stream, only this joins rows
,rows=N           only the first N rows of each split
,streaming        read from the Hub while the sweep runs, and store nothing
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.contract import DataError
from tasks.datasets.files import find_root
from tasks.datasets.options import Options, format_options, parse_options

ORDER = ("config", "image", "captions", "id", "rows", "streaming")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class HubName:
    """A data set and what to read of it."""

    repo: str = ""  # USER/NAME; "" for a folder
    folder: Path | None = None
    revision: str | None = None
    config: str | None = None
    image: str | None = None
    captions: tuple[str, ...] = ()
    id: str | None = None
    rows: int | None = None
    streaming: bool = False

    @property
    def root(self) -> str:
        """The data set in errors, without options."""
        if self.folder is not None:
            return str(self.folder)
        return f"{self.repo}@{self.revision}" if self.revision else self.repo

    def options(self) -> Options:
        """Return the options, as ``parse_options`` does."""
        single = {"config": self.config, "image": self.image, "id": self.id}
        found: dict[str, Sequence[str]] = {k: (v,) for k, v in single.items() if v is not None}
        found["captions"] = self.captions
        if self.rows is not None:
            found["rows"] = (str(self.rows),)
        if self.streaming:
            found["streaming"] = ("",)
        return found

    def __str__(self) -> str:
        return f"hub:{self.root}{format_options(self.options(), ORDER)}"


def parse_hub_name(text: str) -> HubName:
    """Parse what follows ``hub:``.

    Raises:
        DataError: if it names neither a folder nor an id, or an option is invalid.
    """
    path, options = parse_options(text, ORDER[:-1], ["streaming"], repeated=["captions"])
    single = {key: options[key][0] for key in ("config", "image", "id") if key in options}
    rows = options.get("rows", [""])[0]
    if rows and (not rows.isascii() or not rows.isdecimal() or int(rows[:12]) < 1):
        raise DataError(f"--data hub:{text}: rows must be an integer above 0, but is {rows!r}")
    repo, _, revision = path.partition("@")
    folder = None
    if path.startswith((".", "/", "~")) or _is_folder(path):
        folder, repo, revision = find_root(path), "", ""
    elif not _REPO.fullmatch(repo) or ("@" in path and not revision):
        raise DataError(
            f"--data hub:{text[:80]}: {path[:80]!r} is neither a folder nor USER/NAME or "
            "USER/NAME@REVISION; look up the id on the page of the data set"
        )
    return HubName(
        repo=repo,
        folder=folder,
        revision=revision or None,
        captions=tuple(options.get("captions", ())),
        rows=int(rows) if rows else None,
        streaming="streaming" in options,
        **single,
    )


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # too long, a null byte
        return False
