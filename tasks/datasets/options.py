"""Options after the path or id of a data set: ``hub:ID,captions=text,streaming``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tasks.contract import DataError

Options = Mapping[str, Sequence[str]]  # the values of each option; a flag has ("",)

_OPTION = re.compile(r"(?P<key>[a-z]+)=(?P<value>.*)", re.DOTALL)


def parse_options(
    text: str, keys: Sequence[str], flags: Sequence[str] = (), repeated: Sequence[str] = ()
) -> tuple[str, Options]:
    """Split ``PATH,key=value,flag`` into the path and its options.

    Args:
        text: the value of --data after ``LAYOUT:``.
        keys: the options with a value.
        flags: the options without one.
        repeated: the keys that may be given more than once.

    Raises:
        DataError: if an option is unknown, repeated or empty.
    """
    path, found = text, dict[str, list[str]]()
    while "," in path:
        rest, _, last = path.rpartition(",")
        match = _OPTION.fullmatch(last)
        if last not in flags and match is None:
            break
        key, value = (last, "") if match is None else (match["key"], match["value"])
        if match is not None and key in ("val", "seed"):
            raise DataError(f"--data {text}: put ,val=SHARE last; only ,seed=N may follow it")
        if match is not None and (key not in keys or not value):
            known = ", ".join([*(f"{name}=VALUE" for name in keys), *flags, "val=SHARE"])
            raise DataError(f"--data {text} has no option {last!r}; choose of {known}")
        if key in found and key not in repeated:
            raise DataError(f"--data {text} has the option {key!r} twice; remove one of them")
        found.setdefault(key, []).insert(0, value)
        path = rest
    return path, found


def format_options(options: Options, order: Sequence[str]) -> str:
    """Return options as --data takes them, in a fixed order: ``,captions=text,streaming``."""
    return "".join(
        f",{key}={value}" if value else f",{key}" for key in order for value in options.get(key, ())
    )
