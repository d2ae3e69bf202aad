"""A function's identity: the content of its source and of its folder's modules, not their place."""

from __future__ import annotations

import importlib
import linecache
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.functions.finding import load_function
from orchestrator.functions.portable import PortableFunction
from orchestrator.functions.source import read_source
from tasks.contract import RequestError

TRAIN = '''
"""A trainer."""
import math
import orchestrator as orc
from lib_layers import block
import lib_data.photos

GRID = {"lr": [0.1]}

@orc.task(metric="error", maximize=False)
def fit(lr: float = 0.1, *, seed: int):
    """Fits."""
    # a comment
    return {"error": block(lr) + lib_data.photos.SIZE + math.pi}

if __name__ == "__main__":
    print(fit(seed=0))
'''
FILES = {
    "trainer.py": TRAIN,
    "lib_layers.py": "from lib_base import ONE\n\ndef block(x):\n    return x * ONE\n",
    "lib_base.py": "ONE = 1.0\n",
    "lib_data/__init__.py": "",
    "lib_data/photos.py": "from . import sizes\nSIZE = sizes.SIZE\n",
    "lib_data/sizes.py": "SIZE = 3\n",
    "unrelated.py": "x = 1\n",
}


def forget() -> None:
    for name in [m for m in sys.modules if m.split(".")[0].startswith(("trainer", "lib_"))]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    path = list(sys.path)
    yield
    sys.path[:] = path
    forget()


def write(folder: Path, **changes: str) -> Path:
    for name, text in {**FILES, **changes}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "trainer.py"


def load(file: Path, name: str = "fit") -> Callable[..., Any]:
    forget()
    sys.path[:] = [entry for entry in sys.path if Path(entry) != file.parent]
    return load_function(f"{file}:{name}")


def identity(folder: Path, **changes: str) -> str:
    return read_source(load(write(folder, **changes))).identity


def test_the_folder_does_not_count(tmp_path: Path) -> None:
    assert identity(tmp_path / "here") == identity(tmp_path / "there")


@pytest.mark.parametrize("name", ["lib_layers.py", "lib_base.py", "lib_data/sizes.py"])
def test_modules_of_the_folder_count(tmp_path: Path, name: str) -> None:
    changed = {name: FILES[name].replace("1.0", "2.0").replace("3", "4").replace("* ONE", "+ ONE")}
    assert changed[name] != FILES[name]
    assert identity(tmp_path / "a") != identity(tmp_path / "b", **changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Fits."""', '"""Trains."""'),
        ("# a comment", "# another"),
        ("return {", "return  {"),
        ("maximize=False", 'maximize=False, columns=["loss"]'),
        ("print(fit(seed=0))", "print(fit(seed=1))"),
        ("[0.1]", "[0.1, 0.2]"),
    ],
)
def test_what_changes_no_result_does_not_count(tmp_path: Path, old: str, new: str) -> None:
    changed = TRAIN.replace(old, new)
    assert changed != TRAIN
    assert identity(tmp_path / "a") == identity(tmp_path / "b", **{"trainer.py": changed})
    assert identity(tmp_path / "a") == identity(tmp_path / "b", **{"unrelated.py": "x = 2\n"})


@pytest.mark.parametrize(
    ("old", "new"),
    [("lr: float = 0.1", "lr: float = 0.2"), ("math.pi", "math.e"), ("1.0", "'1.0'")],
)
def test_the_code_counts(tmp_path: Path, old: str, new: str) -> None:
    changes = {name: text.replace(old, new) for name, text in FILES.items()}
    assert changes != FILES
    assert identity(tmp_path / "a") != identity(tmp_path / "b", **changes)


SPACES = """
GRID = {"lr": [0.5]}
METRICS = ("error", "seconds:minimize")
ERRATA = METRICS[:1]
def search(trial):
    return GRID
def main():
    orc.sweep(fit, GRID)
"""


@pytest.mark.parametrize("name", ["GRID", "METRICS", "search"])
def test_spaces_of_the_task_count_only_if_it_uses_them(tmp_path: Path, name: str) -> None:
    change = {"GRID": ("[0.5]", "[0.6]"), "METRICS": ('("e', '("log", "e')}
    old, new = change.get(name, ("return GRID", "return {}"))
    assert SPACES.count(old) == 1
    for number, use in enumerate(("", f"def helper():\n    return {name}\n")):
        text = TRAIN.replace("block(lr)", "block(lr or helper())")
        text = text.replace('GRID = {"lr": [0.1]}', f"{use}{SPACES}")
        first = identity(tmp_path / f"a{number}", **{"trainer.py": text})
        second = identity(tmp_path / f"b{number}", **{"trainer.py": text.replace(old, new)})
        assert (first == second) == (not use)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('METRICS = ("r1",)', 'METRICS = ("r1", "r5")'),
        ("GRID = 7", "GRID = 14"),
        ("return text", "return text[::-1]"),
    ],
)
def test_what_an_imported_module_names_like_a_space_counts(
    tmp_path: Path, old: str, new: str
) -> None:
    text = 'METRICS = ("r1",)\nGRID = 7\nONE = 1.0\ndef search(text):\n    return text\n'
    first = identity(tmp_path / "a", **{"lib_base.py": text})
    assert first != identity(tmp_path / "b", **{"lib_base.py": text.replace(old, new)})


def test_the_module_of_a_package_counts_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "lib_pack").mkdir()
    (tmp_path / "lib_pack/__init__.py").touch()
    (tmp_path / "lib_pack/size.py").write_text("SIZE = 1\n")
    file = tmp_path / "lib_pack/fitting.py"
    file.write_text("from .size import SIZE\ndef fit(lr: float = 0.1):\n    return lr * SIZE\n")
    first = read_source(load(file))
    assert sorted(first.files) == [
        "lib_pack/__init__.py",
        "lib_pack/fitting.py",
        "lib_pack/size.py",
    ]
    assert first.root == str(tmp_path)
    (tmp_path / "lib_pack/size.py").write_text("SIZE = 2\n")
    assert read_source(load(file)).identity != first.identity


def test_the_values_that_a_nested_function_captures_count(tmp_path: Path) -> None:
    file = tmp_path / "trainer.py"
    file.write_text(
        "def make(n):\n    def fit(lr: float = 1.0):\n        return lr * n\n    return fit\n"
    )
    make = load(file, "make")
    one, two, again = (read_source(make(n)).identity for n in (1, 2, 1))
    assert one == again != two


def test_a_file_that_was_edited_after_its_import_is_refused(tmp_path: Path) -> None:
    function = load(write(tmp_path))
    first = read_source(function).identity
    (tmp_path / "lib_base.py").write_text("ONE = 1.0  # a remark\n")
    assert read_source(function).identity == first
    (tmp_path / "lib_base.py").write_text("ONE = 2.0\n")
    with pytest.raises(RequestError, match=r"lib_base.py has changed since this process imported"):
        read_source(function)
    (tmp_path / "lib_base.py").write_text(FILES["lib_base.py"])
    assert read_source(function).identity == first
    (tmp_path / "lib_layers.py").write_text(FILES["lib_layers.py"].replace("*", "+"))
    with pytest.raises(RequestError, match=r"lib_layers.py has changed"):
        read_source(function)
    importlib.reload(sys.modules["lib_layers"])
    assert read_source(function).identity != first


# --- a notebook -----------------------------------------------------------------------------------


def run_cell(session: dict[str, Any], text: str) -> None:
    """Run text as IPython runs a cell: its source is known, though there is no file."""
    name = f"<cell {len(linecache.cache)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), session)


CELL = "def fit(lr: float = 0.1, *, seed: int = 0):\n    return helper(lr) + OFFSET\n"


def session_identity(*cells: str) -> str:
    session: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        run_cell(session, cell)
    return read_source(session["fit"]).identity


def test_a_function_of_a_notebook_counts_with_what_it_refers_to() -> None:
    helper, offset = "def helper(x):\n    return x * SCALE\n", "SCALE, OFFSET = 2.0, 1\n"
    base = session_identity(helper, offset, CELL)
    assert base == session_identity(offset, "# moved down\n" + helper, CELL, "other = 3\n")
    assert base != session_identity(helper.replace("*", "+"), offset, CELL)
    assert base != session_identity(helper, offset.replace("2.0", "3.0"), CELL)
    assert base != session_identity(helper, offset.replace("1", "4"), CELL)


def test_classes_and_shared_work_of_a_notebook_count() -> None:
    cells = [
        "import orchestrator as orc\n",
        "class Model:\n    size = 3\n    def run(self, x):\n        return x * 2\n",
        "def draw(n: int):\n    return n\n",
        "def fit(lr: float = 0.1, *, data=orc.shared(draw, n=1)):\n    return Model().run(lr)\n",
    ]
    base = session_identity(*cells)
    for index, old, new in [
        (1, "x * 2", "x * 3"),
        (1, "size = 3", "size = 4"),
        (2, "return n", "return -n"),
    ]:
        changed = [c.replace(old, new) if i == index else c for i, c in enumerate(cells)]
        assert session_identity(*changed) != base


def test_a_function_of_a_notebook_may_be_named_like_a_space() -> None:
    cell = "def fit(lr: float = 0.1):\n    return search(lr)\n"
    helper = "def search(lr):\n    return lr * 2\n"
    assert session_identity(helper, cell) != session_identity(helper.replace("2", "3"), cell)


def test_without_source_there_is_no_identity() -> None:
    session: dict[str, Any] = {"__name__": "__main__"}
    exec("def fit(lr: float = 0.1):\n    return lr\n", session)
    with pytest.raises(RequestError, match="source of fit cannot be read"):
        read_source(session["fit"])


# --- how it is found and sent ---------------------------------------------------------------------


def refused(reference: str) -> str:
    forget()
    with pytest.raises(RequestError) as caught:
        load_function(reference)
    return str(caught.value)


def test_errors_name_the_file(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert "no such file" in refused(f"{tmp_path}/none.py:fit")
    assert "trainer.py defines no function 'fitt'; did you mean 'fit'?" in refused(f"{file}:fitt")
    file.write_text("import nonsense_module\n")
    assert "trainer.py cannot be imported" in refused(f"{file}:fit")
    assert "line 1: ModuleNotFoundError: No module named 'nonsense_module'" in refused(
        f"{file}:fit"
    )
    file.write_text("def fit(:\n")
    assert "trainer.py, line 1: invalid syntax; fix the file" in refused(f"{file}:fit")
    named = tmp_path / "json.py"
    named.write_text("def fit():\n    return 0\n")
    assert "has the same name 'json'; rename the file" in refused(f"{named}:fit")
    (tmp_path / "torch.py").touch()
    assert "torch.py hides the package torch; rename it" in refused(f"{named}:fit")


def test_a_process_without_the_folder_gets_its_modules(tmp_path: Path) -> None:
    function = PortableFunction.of(load(write(tmp_path / "there")))
    assert "there" in str(sys.modules["trainer"].__file__)
    blob = pickle.dumps(function)
    for path in (tmp_path / "there").rglob("*.py"):
        path.unlink()
    forget()
    sys.path[:] = [entry for entry in sys.path if "there" not in entry]
    again = pickle.loads(blob)
    assert again.version == function.version
    assert again(lr=1.0, seed=0)["error"] == pytest.approx(1.0 + 3 + 3.14159, abs=1e-4)
    assert "there" not in str(sys.modules["trainer"].__file__)
    assert pickle.loads(pickle.dumps(again)).version == function.version


def test_a_process_that_sees_the_folder_uses_it(tmp_path: Path) -> None:
    blob = pickle.dumps(PortableFunction.of(load(write(tmp_path / "there"))))
    forget()
    sys.path[:] = [entry for entry in sys.path if "there" not in entry]
    pickle.loads(blob)
    assert Path(str(sys.modules["trainer"].__file__)).parent == tmp_path / "there"
