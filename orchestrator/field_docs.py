"""What a task says of its parameters, from the source of its ``Params``."""

from __future__ import annotations

import inspect
import re


def field_docs(params: type) -> dict[str, str]:
    """The docstring under each field of a dataclass, from its source."""
    source = inspect.getsource(params)
    found = re.findall(r'^    (\w+): [^\n]*\n    """(.*?)"""', source, re.M | re.S)
    return {name: " ".join(text.split()) for name, text in found}
