"""From a function's signature to the parameters of its task."""

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

SPECIAL = ("seed", "device")  # arguments that the trial gives, not the search space
_Field = tuple[str, Any, Any]  # name, type, default


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """The arguments of a function, by where they come from."""

    params: type[Any]  # a frozen dataclass: from the search space
    special: tuple[str, ...]  # from the trial: some of ``SPECIAL``
    shared: Mapping[str, Shared]  # from shared stages


def read_signature(function: Callable[..., Any]) -> Signature:
    """The parameters of a function.

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
                f"list them: def {name}(lr: float = 1e-3, *, seed: int)"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise RequestError(
                f"{name} takes {parameter.name} by position alone; remove the / in its signature"
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
            f"give it one: {name}: {kind} = ..."
        )
    if default is not None and type(default) not in PLAIN:
        raise RequestError(
            f"the default of the parameter {name} of {function.__name__} is {shown(default)}; a "
            "parameter is str, int, float, bool or None (orc.shared(...) gives it other values)"
        )
    if parameter.annotation is parameter.empty:
        if default is None:
            raise RequestError(
                f"the parameter {name} of {function.__name__} has no type, and its default None "
                f"does not show one; write {name}: float | None = None, or another type"
            )
        return name, type(default), default
    hint = _evaluate(function, name, parameter.annotation)
    if type(default) is int and hint is not int and float in (hint, *typing.get_args(hint)):
        default = float(default)  # 1 and 1.0 are one configuration
    return name, hint, default


def _evaluate(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    """A type that may be written as text, as it is under ``from __future__ import annotations``."""
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    try:
        return typing.get_type_hints(holder, globalns=function.__globals__)[name]
    except Exception as error:  # a name that only a type checker imports
        raise RequestError(
            f"the type {_text(annotation)} of the parameter {name} of {function.__name__} cannot "
            f"be read ({type(error).__name__}: {error}); use str, int, float, bool or a Literal"
        ) from None


def _text(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


@functools.cache
def make_params_class(fields: tuple[_Field, ...]) -> type[Any]:
    """A frozen dataclass of these fields; the same class for the same fields."""
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
    """How pickle sends an instance: its class exists in no module."""
    values = tuple(getattr(params, field.name) for field in dataclasses.fields(params))
    return _rebuild, (_FIELDS[type(params)], values)


def _rebuild(fields: tuple[_Field, ...], values: tuple[Any, ...]) -> Any:
    names = (name for name, _, _ in fields)
    return make_params_class(fields)(**dict(zip(names, values, strict=True)))
