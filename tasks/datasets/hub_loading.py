"""Load a data set of the Hugging Face Hub with its package ``datasets``, an optional extra.

Data sets with a loading script need their own code to run, which ``datasets`` 4 and later refuse.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tasks.contract import DataError
from tasks.datasets.hub_name import HubName

T = TypeVar("T")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def load_tables(name: HubName) -> tuple[HubName, Mapping[str, Any]]:
    """Return the ``Dataset`` of each split, or the ``IterableDataset`` if ``name`` streams.

    Returns:
        The name with the commit and the configuration that were loaded, and the splits.

    Raises:
        DataError: if ``datasets`` is not installed, or the data set cannot be loaded.
    """
    library = import_datasets()
    if name.folder is not None:
        return name, _call(name, lambda: _load_folder(library, name))
    if not name.streaming:
        name = name if is_commit(name.revision) or is_offline() else pin(name)
        prepared = _find_prepared(library, name)
        if prepared is not None:
            found = _with_config(name, prepared.parts[-3])
            found = dataclasses.replace(found, revision=prepared.name)
            return found, _call(name, lambda: _read_prepared(library, prepared))
    name = name if is_commit(name.revision) else pin(name)
    builder = _call(name, lambda: open_builder(name))
    pinned = _with_config(name, builder.config.name)
    if name.streaming:
        return pinned, _call(name, builder.as_streaming_dataset)
    _call(name, builder.download_and_prepare)
    return pinned, _call(name, builder.as_dataset)


def _with_config(name: HubName, config: str) -> HubName:
    return dataclasses.replace(name, config=None if config == "default" else config)


def import_datasets() -> Any:
    """Import the package ``datasets``.

    Raises:
        DataError: with the command to install it.
    """
    spec = importlib.util.find_spec("datasets")
    if spec is None or spec.origin is None:  # a folder of the user has no origin
        raise DataError(
            "--data hub:ID needs datasets, which is not installed: "
            "pip install 'multimodal-sweep-orchestrator[datasets]'"
        )
    import datasets

    datasets.logging.set_verbosity_error()  # errors have one line, and it is ours
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def open_builder(name: HubName, **options: Any) -> Any:
    """Return the builder of a data set; ``options`` are those of its file format."""
    path = str(name.folder) if name.folder is not None else name.repo
    return import_datasets().load_dataset_builder(
        path, name.config, revision=name.revision, **options
    )


def load_texts(name: HubName, columns: Sequence[str]) -> Mapping[str, Any] | None:
    """Return streams of some columns that do not transfer the others, where the format allows it.

    The result is None if it does not: only Parquet stores columns separately.
    """
    builder = _call(name, lambda: open_builder(name))
    if all(parent.__name__ != "Parquet" for parent in type(builder).__mro__):
        return None
    found: Mapping[str, Any] = _call(
        name, lambda: open_builder(name, columns=list(columns)).as_streaming_dataset()
    )
    return found


def is_commit(revision: str | None) -> bool:
    """Return whether a revision is the full hash of a commit, which never changes."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def is_offline() -> bool:
    """Return whether the user has forbidden connections to the Hub."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def pin(name: HubName) -> HubName:
    """Ask the Hub for the commit of a revision.

    Raises:
        DataError: if it cannot be reached, or has no such data set.
    """
    from huggingface_hub import HfApi

    info = _call(name, lambda: HfApi().dataset_info(name.repo, revision=name.revision))
    return dataclasses.replace(name, revision=info.sha)


def _load_folder(library: Any, name: HubName) -> Mapping[str, Any]:
    assert name.folder is not None
    saved = [name.folder / file for file in ("dataset_dict.json", "state.json")]
    if any(file.is_file() for file in saved):
        if name.streaming:
            raise DataError(f"{name.root} was saved with save_to_disk; remove ,streaming")
        found = library.load_from_disk(str(name.folder))
        return found if isinstance(found, dict) else {"train": found}
    builder = open_builder(name)
    if name.streaming:
        return dict(builder.as_streaming_dataset())
    builder.download_and_prepare()
    return dict(builder.as_dataset())


def _find_prepared(library: Any, name: HubName) -> Path | None:
    """Return the folder of Arrow files that ``datasets`` made of this commit, or else None.

    Offline and without a commit, it is that of the latest commit.
    """
    owner, _, short = name.repo.partition("/")
    root = Path(library.config.HF_DATASETS_CACHE) / f"{owner}___{_snake_case(short)}"
    found = [
        info.parent
        for info in root.glob("*/*/*/dataset_info.json")
        if is_commit(info.parent.name) and name.revision in (None, info.parent.name)
    ]
    configs = {folder.parts[-3] for folder in found}
    config = name.config or "default"
    if name.config is None and config not in configs and is_offline():
        if len(configs) > 1:
            known = ", ".join(sorted(configs))
            raise DataError(f"{name.root} has the configurations {known}; choose one: ,config=NAME")
        config = next(iter(configs), config)
    found = [folder for folder in found if folder.parts[-3] == config]
    if not found and is_offline():
        raise DataError(
            f"{name.root} is not in the cache of datasets, and HF_HUB_OFFLINE is set; unset it, or "
            "pass a folder: hub:FOLDER"
        )
    return max(found, key=lambda folder: folder.stat().st_mtime, default=None)


def _snake_case(name: str) -> str:
    from datasets.naming import camelcase_to_snakecase

    return str(camelcase_to_snakecase(name))


def _read_prepared(library: Any, folder: Path) -> dict[str, Any]:
    info = library.DatasetInfo.from_directory(str(folder))
    tables = {}
    for split, about in info.splits.items():
        ending = re.compile(rf".*-{re.escape(split)}(-\d{{5}}-of-\d{{5}})?\.arrow")
        files = sorted(f for f in folder.glob("*.arrow") if ending.fullmatch(f.name))
        if not files:
            raise DataError(f"{folder} has no Arrow files of the split {split}; delete the folder")
        parts = [library.Dataset.from_file(str(file), info=info) for file in files]
        tables[split] = library.concatenate_datasets(parts)
        if len(tables[split]) != about.num_examples:
            raise DataError(
                f"{folder} has {len(tables[split])} rows of the split {split}, but should have "
                f"{about.num_examples}; delete the folder"
            )
    return tables


def _call(name: HubName, function: Callable[[], T]) -> T:
    """Call a function of ``datasets``, and say in one line why it failed."""
    try:
        return function()
    except DataError:
        raise
    except Exception as error:  # the Hub, pyarrow and each file format have their own classes
        cause = error.__cause__ if type(error).__name__ == "DatasetGenerationError" else None
        why = " ".join(str(cause or error).split())[:240]
        raise DataError(
            f"{name.root} cannot be loaded ({type(cause or error).__name__}: {why}); check the id, "
            "the revision and config=, or pass a folder: hub:FOLDER"
        ) from None
