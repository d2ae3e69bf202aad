"""Finds the name of the sweep that a request starts or continues.

A sweep has one space, one set of settings, one model and one data set. The same request continues
the same sweep, even with more seeds, trials or budget. Another request gets another name, or an
error if the user gave the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.planning.spaces import ALIASES
from orchestrator.planning.stored_sweeps import split_name
from results.storage.manifest import Manifest
from results.storage.manifest_parts import RecordedRequest
from results.storage.reading import read_sweep
from results.tables.summary import format_plain
from search_spaces.space import Scalar
from tasks.contract import RequestError, Source, StoreError, content_id

MAX_LENGTH = 60  # characters of a default name; a longer one is cut and ends in a hash
_COMMIT = re.compile(r"(?<=.)@[0-9a-f]{40}")  # of a data set of the Hub


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The parts of a request that distinguish sweeps."""

    space: str
    file: str | None  # path of the user's space file
    file_hash: str | None  # hash of its text
    settings: Mapping[str, Scalar]
    search: Mapping[str, str | tuple[str, ...]]  # of a search: sampler, pruner, several metrics ...
    model: Source
    data: Source

    def record(self) -> RecordedRequest:
        """Return the part that ``sweep.json`` records in addition to model and data."""
        return RecordedRequest(
            space=self.space,
            file=self.file,
            file_hash=self.file_hash,
            settings=self.settings,
            search=self.search,
        )

    def differences(self, manifest: Manifest) -> list[str]:
        """Describe how the request that a ``sweep.json`` records differs from this one."""
        found = []
        then = manifest.request
        space = then.space if then else manifest.space
        space = ALIASES.get(space, space)
        if space != self.space:
            found.append(f"with the space {space}, not {self.space}")
        if then is not None:  # older versions recorded only the space
            same_text = then.file_hash == self.file_hash
            if then.file != self.file and not (same_text and self.file_hash):
                built_in = "the task's own space"
                found.append(f"with {then.file or built_in}, not {self.file or built_in}")
            if then.file is None and self.file is None and not same_text:
                found.append("with other values in its space")
            found += _changed(then.settings, self.settings, "--set {name}=")
            found += _changed(then.search, self.search, "--{name} ")
        sources = (("model", manifest.model, self.model), ("data", manifest.data, self.data))
        for what, before, now in sources:
            if before.fingerprint == now.fingerprint:
                continue
            if before.name == now.name:
                found.append(f"with other content in the {what} {now.name}")
            else:
                found.append(f"with the {what} {before.name}, not {now.name}")
        return found


def _changed(
    before: Mapping[str, Scalar | tuple[str, ...]],
    now: Mapping[str, Scalar | tuple[str, ...]],
    option: str,
) -> list[str]:
    found = []
    for name in sorted({*before, *now}):
        words = option.format(name=name)
        if name not in now:
            found.append(f"with {words}{_text(before[name])}")
        elif name not in before:
            found.append(f"without {words.rstrip('= ')}")
        elif before[name] != now[name]:
            found.append(f"with {words}{_text(before[name])}, not {_text(now[name])}")
    return found


def _text(value: Scalar | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return " and ".join(value)
    return str(value).lower() if value is None or isinstance(value, bool) else format_plain(value)


@dataclass(frozen=True, kw_only=True)
class Name:
    """A sweep's name, a line about it for the user, and the manifest of earlier runs."""

    name: str
    notice: str = ""
    manifest: Manifest | None = None


def choose_name(
    identity: Identity, *, given: str | None, defaults: Mapping[str, Any], out: str, task: str
) -> Name:
    """Choose the name of the sweep that a request starts or continues.

    Args:
        identity: what distinguishes the request from others.
        given: the name that the user gave, if any.
        defaults: the names of the task's default model and data, and the default sampler and
            pruner.
        out: the folder or URI for the results.
        task: the name of the task.

    Raises:
        RequestError: if the sweep named ``given`` belongs to another request.
    """
    name = given or default_name(identity, defaults)
    manifest = read_manifest(out, task, name)
    differences = identity.differences(manifest) if manifest else []
    if differences and given:
        raise RequestError(
            f"the sweep {name!r} was started {', '.join(differences)}; use another --name, "
            "or the same options to continue it"
        )
    if differences:
        taken, name = name, f"{name}-{content_id(identity)[:6]}"
        notice = (
            f"{task}/{taken} was started {', '.join(differences)}. The results go to {task}/{name}."
        )
        return Name(name=name, notice=notice, manifest=read_manifest(out, task, name))
    notice = "" if name in (given, identity.space) else f"The results go to {task}/{name}."
    return Name(name=name, notice=notice, manifest=manifest)


def default_name(identity: Identity, defaults: Mapping[str, Any]) -> str:
    """Return the space's name and what differs from the task's defaults: ``paper-epochs-2``."""
    parts = [identity.space]
    search = sorted(identity.search.items())
    # Of ``accuracy:maximize`` only the name of the metric.
    parts += [re.sub(r":\w+", "", str(v)) for k, v in search if k == "metric"]
    parts += [str(v) for k, v in search if k in defaults and v != defaults[k]]
    learned = identity.search.get("learn-from", ())
    parts += ["from", *(split_name(each)[-1] for each in learned)] if learned else []
    for what, source in (("model", identity.model), ("data", identity.data)):
        if source.name != defaults[what]:
            shown = _COMMIT.sub("", source.name)
            parts += [part.rstrip("/").rsplit("/", 1)[-1] for part in shown.split("+")]
    parts += [f"{name}-{_text(value)}" for name, value in sorted(identity.settings.items())]
    words = [re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-.") for part in parts]
    name = "-".join(word for word in words if word)
    if len(name) <= MAX_LENGTH:
        return name
    return f"{name[:MAX_LENGTH].rstrip('-.')}-{content_id(identity)[:6]}"


def read_manifest(out: str, task: str, name: str) -> Manifest | None:
    """Return the ``sweep.json`` of a sweep, or None if it is missing or damaged."""
    try:
        return read_sweep(out, task, name).manifest
    except StoreError:  # the next run of the sweep replaces a damaged file
        return None
