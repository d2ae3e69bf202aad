"""Computes the identity of a function: a hash of its source and of the modules that it imports.

The modules are those of the user's folder; its path does not affect the identity. The identity
covers neither installed packages, nor files that the function reads, nor modules whose names are
computed at run time. For a function of a notebook, it covers only functions, classes and plain
values of the session.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.functions.declaration import Shared
from orchestrator.functions.loaded_code import check_loaded
from orchestrator.functions.own_modules import import_root, is_installed, own_modules
from orchestrator.functions.syntax import plain_tree
from tasks.contract import RequestError, content_id

_MAX_ITEMS = 10_000  # of a list or dict of a notebook; larger ones are not part of the identity


@dataclass(frozen=True, kw_only=True)
class Source:
    """The source of a function, and its identity."""

    identity: str  # hash of the content
    root: str = ""  # the folder from which the files are imported
    files: Mapping[str, str] = field(default_factory=dict)  # text by path, for other processes


def read_source(function: Callable[..., Any]) -> Source:
    """Read the source of a function.

    Raises:
        RequestError: if it cannot be read.
    """
    file = module_file(function)
    if file is None:
        return _read_session(function)
    root = import_root(file)
    files = own_modules(file, root)
    names = {file: function.__qualname__.split(".")[0]}
    check_loaded(files, names)
    identity = content_id(
        {
            "function": function.__qualname__,
            "files": {
                "" if path == file else path.relative_to(root).as_posix(): plain_tree(
                    text, names.get(path)
                )
                for path, text in files.items()
            },
            "captured": {k: repr(v) for k, v in _captured(function).items() if _is_plain(v)},
        }
    )
    if is_installed(root):
        return Source(identity=identity)
    if function.__module__ == "__main__":  # pickled by value
        del files[file]
    relative = {path.relative_to(root).as_posix(): text for path, text in files.items()}
    return Source(identity=identity, root=str(root), files=relative)


def module_file(value: Any) -> Path | None:
    """Return the file of a function or class; None if it is defined in a notebook or a session."""
    name = getattr(sys.modules.get(value.__module__), "__file__", None)
    code: types.CodeType | None = getattr(value, "__code__", None)
    if name is None or not name.endswith(".py"):
        return None
    if value.__module__ == "__main__" and code and not Path(code.co_filename).is_file():
        return None  # defined in a notebook; ``name`` is the file that launched the kernel
    return Path(name).resolve()


def _source_text(function: Any) -> str:
    """Return the source of a function or class.

    Raises:
        OSError: if there is none. Python 3.13 may return other text for code of ``exec``.
    """
    text = textwrap.dedent(inspect.getsource(function))
    name = function.__name__
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if name != "<lambda>" and not any(
        isinstance(node, kinds) and node.name == name for node in ast.walk(ast.parse(text))
    ):
        raise OSError("could not get source code")
    return text


# --- functions of a notebook or a session ---------------------------------------------------------


def _read_session(function: Callable[..., Any]) -> Source:
    """Read a function without a file, and everything that it refers to in its session."""
    session = _Session(Path.cwd().resolve())
    session.add_function(function)
    trees = {path: plain_tree(text) for path, text in session.files.items()}
    content = {"function": function.__qualname__, "parts": session.parts, "files": trees}
    return Source(identity=content_id(content), root=str(session.folder), files=session.files)


class _Session:
    """The functions, classes, plain values and modules that a function refers to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # the user's folder
        self.parts: dict[str, object] = {}  # content by name
        self.files: dict[str, str] = {}  # modules of the folder: text by path

    def add_function(self, function: Any) -> None:
        """Add a function, and everything that its code refers to."""
        name = function.__qualname__
        if name in self.parts:
            return
        try:
            self.parts[name] = plain_tree(_source_text(function))
        except (OSError, TypeError, SyntaxError) as error:
            raise RequestError(
                f"the source of {name} cannot be read ({error}), and a trial's id depends on it; "
                "define it in a file or in a notebook's cell"
            ) from None
        for key, value in _referred(function).items():
            self.add(f"{name}:{key}", value)

    def add(self, key: str, value: Any) -> None:
        """Add a value of the session by its name."""
        if isinstance(value, types.ModuleType):
            self._add_module(value)
        elif isinstance(value, (types.FunctionType, type)):
            if value.__module__ in sys.modules and value.__module__ != "__main__":
                self._add_module(sys.modules[value.__module__])
            elif isinstance(value, types.FunctionType):
                self.add_function(value)
            else:
                self._add_class(value)
        elif isinstance(value, Shared):
            for number, each in enumerate((value.function, *value.args.values())):
                self.add(f"{key}.{number}", each)
        elif _is_plain(value):
            self.parts[key] = repr(value)

    def _add_class(self, kind: type) -> None:
        for name, member in sorted(vars(kind).items()):
            member = getattr(member, "__func__", member)
            if isinstance(member, types.FunctionType) or not name.startswith("__"):
                self.add(f"{kind.__qualname__}.{name}", member)
        for base in kind.__bases__:
            self.add(f"{kind.__qualname__}:{base.__qualname__}", base)

    def _add_module(self, module: types.ModuleType) -> None:
        """Add a module of the user's folder, and the modules of the folder that it imports."""
        name = getattr(module, "__file__", None)
        path = Path(name).resolve() if name else None
        if path is None or path.suffix != ".py" or import_root(path) != self.folder:
            return
        files = own_modules(path, self.folder)
        check_loaded(files)
        for each, text in files.items():
            self.files[each.relative_to(self.folder).as_posix()] = text


def _referred(function: Any) -> dict[str, Any]:
    """Return the globals, captured variables and shared stages that a function uses, by name."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    known = {name: function.__globals__[name] for name in names if name in function.__globals__}
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    shared = [each for each in defaults if isinstance(each, Shared)]
    known |= {f"shared {number}": each for number, each in enumerate(shared)}
    return dict(sorted((known | _captured(function)).items()))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of a function and of the functions inside it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _codes(each)


def _captured(function: Any) -> dict[str, Any]:
    """Return the variables of enclosing functions by name."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return dict(sorted(found.items()))


def _is_plain(value: Any) -> bool:
    """Return whether ``repr`` shows the whole value: numbers, strings, lists and dicts."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return True
    if isinstance(value, (list, tuple)):
        return len(value) <= _MAX_ITEMS and all(_is_plain(each) for each in value)
    if isinstance(value, dict):
        return len(value) <= _MAX_ITEMS and all(_is_plain(e) for p in value.items() for e in p)
    return False
