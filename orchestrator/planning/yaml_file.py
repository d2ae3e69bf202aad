"""Reads YAML files, in which 1e-5 is a number, as in YAML 1.2."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from tasks.contract import RequestError


class _Loader(yaml.SafeLoader):
    """Builds only plain values. PyYAML itself reads ``1e-5``, without a point, as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"),
    list("-+0123456789."),
)


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Return the content of a YAML file as plain values.

    Raises:
        RequestError: if the file cannot be read or is not valid YAML.
    """
    try:
        return _Loader(Path(path).read_text(encoding="utf-8")).get_single_data()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"cannot read {os.fspath(path)}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise RequestError(
            f"{os.fspath(path)}{line} is not valid YAML: {problem}; fix the file"
        ) from None
