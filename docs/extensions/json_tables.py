"""The reference of the JSON documents as Markdown, from their schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orchestrator.cli

FILE = Path(orchestrator.cli.__file__).parent / "output.schema.json"
_HEAD = ("schema_version", "command", "exit_code")  # of every document; the page explains them


def json_reference() -> str:
    """Return a section with the fields of each command's document, as Markdown."""
    schema: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    commands = [each["$ref"].rpartition("/")[2] for each in schema["oneOf"]]
    return "\n\n".join(
        "\n".join(_section(name, schema["$defs"])) for name in commands if name != "error"
    )


def _section(name: str, definitions: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {name}", "", "| field | type | meaning |", "|---|---|---|")
    properties = definitions[name]["properties"]
    codes = ", ".join(map(str, properties["exit_code"]["enum"]))
    fields = {key: value for key, value in properties.items() if key not in _HEAD}
    for path, field in _fields(fields, definitions, ""):
        yield f"| `{path}` | {_type(field, definitions)} | {_meaning(field)} |"
    yield from ("", f"Exit codes of a result: {codes}.")


def _fields(
    properties: Mapping[str, Any], definitions: Mapping[str, Any], before: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (path, schema) of all fields, those of nested objects after their own."""
    for name, field in properties.items():
        yield f"{before}{name}", field
        items = field.get("items")
        inner = field if items is None else items
        suffix = "." if items is None else "[]."
        for each in inner.get("anyOf", [inner]):
            nested = _resolve(each, definitions).get("properties", {})
            yield from _fields(nested, definitions, f"{before}{name}{suffix}")


def _resolve(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in field:
        return field
    found: Mapping[str, Any] = definitions[field["$ref"].rpartition("/")[2]]
    return found


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    kind = _resolve(field, definitions).get("type")
    if kind is None:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _meaning(field: Mapping[str, Any]) -> str:
    return str(field.get("description", "")).replace("|", "\\|").replace("<", "&lt;")
