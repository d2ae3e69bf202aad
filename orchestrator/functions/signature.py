"""Reads the parameters of a task from the signature of its function."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.functions.declaration import Shared
from orchestrator.planning.params_checks import PLAIN, params_problems
from orchestrator.planning.space_checks import shown
from tasks.contract import RequestError

SPECIAL = ("seed", "device")  # arguments that come from the trial, not from the search space
_Field = tuple[str, Any, Any]  # name, type, default


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """The arguments of a function, by their source."""

    params: type[Any]  # a frozen dataclass of those from the search space
    special: tuple[str, ...]  # from the trial: some of ``SPECIAL``
    shared: Mapping[str, Shared]  # from shared stages


def read_signature(function: Callable[..., Any]) -> Signature:
    """Return the arguments of a function.

    Raises:
        RequestError: if one of them cannot be a parameter of a task.
    """
    name = function.__name__
    fields: list[_Field] = []
    special: list[str] = []
    shared: dict[str, Shared] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise RequestError(
                f"{name} takes {stars}{parameter.name}, but a search space needs named parameters; "
                f"write them out: def {name}(lr: float = 1e-3, *, seed: int)"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise RequestError(
                f"{name} has the positional-only parameter {parameter.name}; remove the / from its "
                "signature"
            )
        if isinstance(parameter.default, Shared):
            shared[parameter.name] = parameter.default
        elif parameter.name in SPECIAL:
            special.append(parameter.name)
        else:
            fields.append(_field(function, parameter))
    params = make_params_class(tuple(fields))
    for problem in params_problems(params):
        raise RequestError(f"{name}: {problem}")
    return Signature(params=params, special=tuple(special), shared=shared)


def _field(function: Callable[..., Any], parameter: inspect.Parameter) -> _Field:
    name, default = parameter.name, parameter.default
    if default is parameter.empty:
        kind = "float" if parameter.annotation is parameter.empty else _text(parameter.annotation)
        raise RequestError(
            f"the parameter {name} of {function.__name__} has no default; "
            f"add one: {name}: {kind} = ..."
        )
    if default is not None and type(default) not in PLAIN:
        raise RequestError(
            f"the default of the parameter {name} of {function.__name__} is {shown(default)}; "
            "use str, int, float, bool or None, or orc.shared(...) for other values"
        )
    if parameter.annotation is parameter.empty:
        if default is None:
            raise RequestError(
                f"the parameter {name} of {function.__name__} has the default None and no type; "
                f"write {name}: float | None = None, or another type"
            )
        return name, type(default), default
    hint = _evaluate(function, name, parameter.annotation)
    if type(default) is int and hint is not int and float in (hint, *typing.get_args(hint)):
        default = float(default)  # 1 and 1.0 are the same configuration
    return name, hint, default


def _evaluate(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    """Return the type of an annotation.

    It is a string if the file uses ``from __future__ import annotations``.
    """
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    try:
        return typing.get_type_hints(holder, globalns=function.__globals__)[name]
    except Exception as error:  # a name that only a type checker imports
        raise RequestError(
            f"the type {_text(annotation)} of the parameter {name} of {function.__name__} cannot "
            f"be resolved ({type(error).__name__}: {error}); use str, int, float, bool or a Literal"
        ) from None


def _text(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


@functools.cache
def make_params_class(fields: tuple[_Field, ...]) -> type[Any]:
    """Return a frozen dataclass with these fields. Equal fields give the same class."""
    made = dataclasses.make_dataclass(
        "Params",
        [(name, hint, dataclasses.field(default=default)) for name, hint, default in fields],
        frozen=True,
        kw_only=True,
        slots=True,
        namespace={"__reduce__": _reduce, "__doc__": "The parameters of a function."},
    )
    _FIELDS[made] = fields
    return made


_FIELDS: dict[type[Any], tuple[_Field, ...]] = {}


def _reduce(params: Any) -> tuple[Any, ...]:
    """Pickle an instance by its fields, because pickle cannot find its class in a module."""
    values = tuple(getattr(params, field.name) for field in dataclasses.fields(params))
    return _rebuild, (_FIELDS[type(params)], values)


def _rebuild(fields: tuple[_Field, ...], values: tuple[Any, ...]) -> Any:
    names = (name for name, _, _ in fields)
    return make_params_class(fields)(**dict(zip(names, values, strict=True)))
