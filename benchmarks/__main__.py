"""``python -m benchmarks`` lists the benchmarks; ``python -m benchmarks NAME ...`` runs one."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the benchmarks: the modules in this folder that define ``main``."""
    modules = (path for path in ROOT.glob("*.py") if not path.stem.startswith("_"))
    return sorted(path.stem for path in modules if "\ndef main(" in path.read_text())


def main() -> None:
    """List the benchmarks, or run one."""
    known = names()
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        for name in known:
            about = ast.get_docstring(ast.parse((ROOT / f"{name}.py").read_text())) or ""
            print(f"{name:20} {about.splitlines()[0]}")
        sys.exit(
            0 if len(sys.argv) < 2 else f"error: no benchmark {sys.argv[1]!r}; choose one above"
        )
    name = sys.argv.pop(1)
    sys.argv[0] = f"python -m benchmarks {name}"
    importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
