"""What one node has, asked of the node itself: plain functions that import nothing of ours.

They are sent to a node by value, so that they also run where this project is missing or another.
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

PACKAGES = ("ray", "torch", "transformers", "pyarrow", "numpy")
PROJECT = "this project"
ROOMS = ("orchestrator", "tasks", "results", "search_spaces")


def probe(*, salt: str, out: str, marker: str | None, paths: list[str], hub: list[str]) -> Any:
    """Everything at once.

    ``salt`` keeps what is told of a secret from being the secret; ``marker`` is a file of the
    driver's under ``out``; ``paths`` must exist; ``hub`` are models by Hugging Face id.
    """
    return {
        "host": socket.gethostname(),
        "versions": versions(),
        "token": token_digest(salt),
        "offline": is_offline(),
        "gpus": (names := gpu_names()),
        "torch_gpus": torch_gpus() if names else 0,
        "out": try_folder(out, marker),
        "missing": [path for path in paths if not os.path.exists(path)],
        "not_cached": [name for name in hub if not is_cached(name)],
    }


def versions() -> dict[str, str]:
    """Of Python, of what can move a number, and of this project by the content of its files."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return {**found, PROJECT: source_digest()}


def source_digest() -> str:
    """A short hash over this project's files as this process would import them."""
    digest = hashlib.blake2b(digest_size=4)
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        if spec is None or not spec.origin:
            return "missing"
        folder = Path(spec.origin).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()


def token_digest(salt: str) -> str:
    """A salted hash of ``HF_TOKEN``, to be compared and never told; empty if there is none."""
    token = os.environ.get("HF_TOKEN", "")
    digest = hashlib.blake2b(token.encode(), key=salt.encode(), digest_size=8)
    return digest.hexdigest() if token else ""


def gpu_names() -> list[str]:
    """The GPUs that nvidia-smi lists."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip()]


def torch_gpus() -> int:
    """The GPUs that torch can use."""
    try:
        import torch
    except ImportError:
        return 0
    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0


def try_folder(uri: str, marker: str | None = None) -> dict[str, Any]:
    """Write, read and delete a small file there; whether a marker of the driver's is seen."""
    from pyarrow import fs

    found: dict[str, Any] = {"sees": False, "error": ""}
    try:
        filesystem, path = fs.FileSystem.from_uri(uri) if "://" in uri else (None, uri)
        filesystem = filesystem or fs.LocalFileSystem()
        made = [] if "://" in uri else new_folders(path)
        try:
            filesystem.create_dir(path, recursive=True)
            if marker is not None:
                seen = filesystem.get_file_info(f"{path}/{marker}")
                found["sees"] = seen.type == fs.FileType.File
            file, blob = f"{path}/.doctor-{uuid.uuid4().hex}", os.urandom(32)
            with filesystem.open_output_stream(file) as stream:
                stream.write(blob)
            with filesystem.open_input_stream(file) as stream:
                found["error"] = "" if stream.read() == blob else "it reads other than was written"
            filesystem.delete_file(file)
        finally:
            for folder in made:
                with contextlib.suppress(OSError):  # someone uses it already, or it never was
                    os.rmdir(folder)
    except Exception as error:  # every storage has errors of its own
        # Arrow says the system's own words last: "... Detail: [errno 13] Permission denied".
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        found["error"] = re.sub(r"^\[errno \d+\] ", "", first.rpartition("Detail: ")[2], flags=re.I)
    return found


def new_folders(path: str) -> list[str]:
    """The folders that creating this one would make, the innermost first."""
    made = []
    while path and not os.path.exists(path):
        made.append(path)
        path = os.path.dirname(path)
    return made


def is_cached(name: str) -> bool:
    """Whether this node's Hugging Face cache holds the model."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def is_offline() -> bool:
    """Whether Hugging Face's libraries are told to download nothing."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
