"""Functions that describe one node and run on that node.

They are sent to a node by value, together with ``orchestrator.cgroups``, the only module of this
project that they import. So they also run where this project is missing or has another version.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Any

from orchestrator.cgroups import available_cpus, installed_memory, memory_limit

DEPENDENCIES = ("ray", "torch", "transformers", "pyarrow", "numpy")
PROJECT = "this project"
PROJECT_PACKAGES = ("orchestrator", "tasks", "results", "search_spaces")


def probe(
    *, salt: str, out: str, marker: str | None, paths: list[str], hub_models: list[str]
) -> Any:
    """Return everything that ``doctor`` needs to know about this node.

    Args:
        salt: key of the hash of ``HF_TOKEN``, so that the answer does not reveal the token.
        out: folder or URI for the results.
        marker: name of a file that the driver has written to ``out``.
        paths: files and folders that must exist.
        hub_models: Hugging Face ids that should be in the cache.
    """
    return {
        "host": socket.gethostname(),
        "versions": versions(),
        "token": token_digest(salt),
        "offline": is_offline(),
        **limits(),
        "gpus": (names := gpu_names()),
        "torch_gpus": torch_gpus() if names else 0,
        "out": try_folder(out, marker),
        "missing": [path for path in paths if not os.path.exists(path)],
        "not_cached": [name for name in hub_models if not is_cached(name)],
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and the dependencies, and a hash of this project's files."""
    found = {"python": platform.python_version()}
    for name in DEPENDENCIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return {**found, PROJECT: source_digest()}


def source_digest() -> str:
    """Return a short hash of this project's files as this process would import them."""
    digest = hashlib.blake2b(digest_size=4)
    for package in PROJECT_PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.origin:
            return "missing"
        folder = Path(spec.origin).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()


def token_digest(salt: str) -> str:
    """Return a salted hash of ``HF_TOKEN``, or an empty string if it is not set."""
    token = os.environ.get("HF_TOKEN", "")
    digest = hashlib.blake2b(token.encode(), key=salt.encode(), digest_size=8)
    return digest.hexdigest() if token else ""


def limits() -> dict[str, int | None]:
    """Return how many ``cpus`` and bytes of ``memory`` a process may use, None for all."""
    cpus, memory, installed = available_cpus(), memory_limit(), installed_memory() or 0
    return {
        "cpus": cpus if cpus < (os.cpu_count() or 1) else None,
        "memory": memory if memory is not None and memory < installed else None,
    }


def gpu_names() -> list[str]:
    """Return the GPUs that nvidia-smi lists."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def torch_gpus() -> int:
    """Return the number of GPUs that torch can use."""
    try:
        import torch
    except ImportError:
        return 0
    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0


def try_folder(uri: str, marker: str | None = None) -> dict[str, Any]:
    """Write, read and delete a small file in a folder.

    Returns:
        ``error``: what went wrong, or an empty string. ``sees_marker``: whether the folder holds
        the driver's marker file.
    """
    from pyarrow import fs

    found: dict[str, Any] = {"sees_marker": False, "error": ""}
    try:
        filesystem, path = fs.FileSystem.from_uri(uri) if "://" in uri else (None, uri)
        filesystem = filesystem or fs.LocalFileSystem()
        created = [] if "://" in uri else missing_folders(path)
        try:
            filesystem.create_dir(path, recursive=True)
            if marker is not None:
                info = filesystem.get_file_info(f"{path}/{marker}")
                found["sees_marker"] = info.type == fs.FileType.File
            file, blob = f"{path}/.doctor-{uuid.uuid4().hex}", os.urandom(32)
            with filesystem.open_output_stream(file) as stream:
                stream.write(blob)
            with filesystem.open_input_stream(file) as stream:
                if stream.read() != blob:
                    found["error"] = "a file reads back with other content than was written"
            filesystem.delete_file(file)
        finally:
            for folder in created:
                with contextlib.suppress(OSError):  # not empty anymore, or never created
                    os.rmdir(folder)
    except Exception as error:  # each file system raises its own classes
        # Arrow ends with the system's message: "... Detail: [errno 13] Permission denied".
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        found["error"] = re.sub(r"^\[errno \d+\] ", "", first.rpartition("Detail: ")[2], flags=re.I)
    return found


def missing_folders(path: str) -> list[str]:
    """Return the folders that creating ``path`` would add, the innermost first."""
    missing = []
    while path and not os.path.exists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing


def is_cached(name: str) -> bool:
    """Return whether this node's Hugging Face cache holds the model."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def is_offline() -> bool:
    """Return whether ``HF_HUB_OFFLINE`` forbids downloads."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
