"""Documents of ``--json``, checked against the schema that users get."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from paths import ROOT

SCHEMA: Mapping[str, Any] = json.loads(
    (ROOT / "orchestrator" / "cli" / "output.schema.json").read_text()
)
#: The commands in the order of the schema; its first entry is the error.
COMMANDS = [each["$ref"].rpartition("/")[2] for each in SCHEMA["oneOf"]][1:]


def _strict(value: Any) -> Any:
    """The schema without room for fields that it does not describe."""
    if isinstance(value, Mapping):
        closed = {key: _strict(each) for key, each in value.items()}
        if value.get("type") == "object" and "properties" in value:
            closed.setdefault("additionalProperties", False)
        return closed
    return [_strict(each) for each in value] if isinstance(value, list) else value


_STRICT = _strict(SCHEMA)
Draft202012Validator.check_schema(_STRICT)


def check_document(text: str, command: str | None, status: int) -> Mapping[str, Any]:
    """The document in what a command printed: one line that fits the schema of the command.

    The schema here allows no field that it does not describe.
    """
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    found: Mapping[str, Any] = json.loads(text)
    name = "error" if "error" in found else command
    definition = {"$ref": f"#/$defs/{name}", "$defs": _STRICT["$defs"]}
    formats = Draft202012Validator.FORMAT_CHECKER
    problems = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(definition, format_checker=formats).iter_errors(found)
    ]
    assert not problems, "\n".join(problems)
    Draft202012Validator(SCHEMA).validate(found)  # exactly one command
    assert (found["command"], found["exit_code"]) == (command, status)
    return found
