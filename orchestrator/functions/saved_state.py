"""Converts the nested state of ``orc.checkpoint`` to arrays by name and plain values, and back.

A state is a dict of numbers, strings, lists, tuples, dicts, numpy arrays, torch tensors, and
objects with ``state_dict`` and ``load_state_dict``, such as modules and optimizers.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np

from orchestrator.planning.space_checks import shown
from tasks.contract import TrialError

_SCALARS = (str, int, float, bool, type(None))


def save(state: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return copies of all arrays by name, such as ``model.weight``, and the rest as plain values.

    Raises:
        TrialError: if a value cannot be saved.
    """
    arrays: dict[str, Any] = {}
    return arrays, _save(state, (), arrays)


def _save(value: Any, path: tuple[str, ...], arrays: dict[str, Any]) -> Any:
    if callable(getattr(value, "state_dict", None)) and not isinstance(value, type):
        value = value.state_dict()
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, np.generic):
        return _save(value.item(), path, arrays)
    if isinstance(value, Mapping):
        pairs = [[_key(key, path), key, each] for key, each in value.items()]
        return {
            "dict": [[key, _save(each, (*path, name), arrays)] for name, key, each in pairs],
        }
    if isinstance(value, (list, tuple)):
        items = [_save(each, (*path, str(index)), arrays) for index, each in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _save_array(value, path, arrays)
    raise TrialError(
        f"orc.checkpoint cannot save {_place(path)}, which is {shown(value)}; save numbers, "
        "strings, lists, dicts, arrays, tensors, or objects with state_dict and load_state_dict"
    )


def _key(key: Any, path: tuple[str, ...]) -> str:
    if not isinstance(key, (str, int)):
        raise TrialError(
            f"orc.checkpoint cannot save the key {shown(key)} of {_place(path)}; use strings or "
            "integers as keys"
        )
    return str(key)


def _place(path: tuple[str, ...]) -> str:
    return "state" + "".join(f"[{part!r}]" for part in path)


def _save_array(value: Any, path: tuple[str, ...], arrays: dict[str, Any]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            raise TrialError(
                f"orc.checkpoint cannot save {_place(path)}, which is an array of {value.dtype}; "
                "use an array of numbers, or a list of strings"
            )
        copied: Any = value.copy()
    else:
        copied = value.detach().cpu().clone()
    name = ".".join(path)
    while name in arrays:  # joining another path has given the same name
        name += "_"
    arrays[name] = copied
    return {"array": name, "shape": list(value.shape)}


def restore(
    state: MutableMapping[str, Any], arrays: Mapping[str, Any], saved: Mapping[str, Any]
) -> None:
    """Restore a state in place from the result of ``save``.

    Raises:
        TrialError: if ``load_state_dict`` of an object fails.
    """
    for key, value in _restore(saved, arrays).items():
        load = getattr(state.get(key), "load_state_dict", None)
        if not callable(load):
            state[key] = value
            continue
        try:
            load(value)
        except Exception as error:
            raise TrialError(
                f"the checkpoint does not fit state[{key!r}]: {type(error).__name__}: {error}"
            ) from error


def _restore(saved: Any, arrays: Mapping[str, Any]) -> Any:
    if not isinstance(saved, Mapping):
        return saved
    if "array" in saved:
        value = arrays[saved["array"]]
        value = np.array(value) if isinstance(value, np.ndarray) else value  # writable
        return value.reshape(tuple(saved["shape"]))
    if "dict" in saved:
        return {key: _restore(each, arrays) for key, each in saved["dict"]}
    if "tuple" in saved:
        return tuple(_restore(each, arrays) for each in saved["tuple"])
    return [_restore(each, arrays) for each in saved["list"]]
