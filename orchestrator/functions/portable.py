"""Sends a function of the user to another process, with the modules of its folder."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.functions.source import read_source


class OwnModules:
    """Modules of the user's folder. A process that unpickles this object can import them."""

    def __init__(self, root: str, files: Mapping[str, str]) -> None:
        self._root, self._files = root, files

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the call that makes the modules importable."""
        return _make_importable, (self._root, dict(self._files))


def _make_importable(root: str, files: Mapping[str, str]) -> OwnModules:
    """Add a folder with these modules to the import path.

    This is their original folder, if this machine has it with the same content.
    """
    if files:
        folder = root if _has_files(root, files) else _unpack(files)
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return OwnModules(root, files)


def _has_files(root: str, files: Mapping[str, str]) -> bool:
    try:
        return all((Path(root) / path).read_text("utf-8") == text for path, text in files.items())
    except (OSError, UnicodeDecodeError):
        return False


_unpacked: dict[frozenset[tuple[str, str]], str] = {}  # folders of this process, by content


def _unpack(files: Mapping[str, str]) -> str:
    """Write the files to a temporary folder, which is removed when the process ends."""
    key = frozenset(files.items())
    if key not in _unpacked:
        folder = tempfile.mkdtemp(prefix="orchestrator-modules-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for path, text in files.items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_text(text, "utf-8")
        _unpacked[key] = folder
    return _unpacked[key]


class PortableFunction:
    """A callable that is pickled together with the modules of the function that it calls.

    The modules are first in the pickle, so that they can be imported when the function is loaded.
    Ray pickles a function of a module by reference, and a function of ``__main__`` by value.
    """

    def __init__(
        self,
        modules: OwnModules,
        function: Callable[..., Any],
        version: str,
        needs: tuple[str, ...] = (),
    ) -> None:
        """Use ``of``. ``needs`` are the names of the parameters that are passed by position."""
        self.function, self.version = function, version
        self._modules, self._needs = modules, needs
        self.__name__, self.__qualname__ = function.__name__, function.__qualname__
        self.__module__ = function.__module__

    @classmethod
    def of(cls, function: Callable[..., Any], needs: tuple[str, ...] = ()) -> PortableFunction:
        """Wrap a function of this process.

        Raises:
            RequestError: if the source of the function cannot be read.
        """
        source = read_source(function)
        return cls(OwnModules(source.root, source.files), function, source.identity, needs)

    def __call__(self, *needs: Any, **args: Any) -> Any:
        """Call the function. ``needs`` are the values of the parameters of the same name."""
        return self.function(**dict(zip(self._needs, needs, strict=True)), **args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PortableFunction) and self.function is other.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a call of the constructor, with the modules as its first argument."""
        return PortableFunction, (self._modules, self.function, self.version, self._needs)
