"""What this machine and cluster can run, and what is wrong with it."""

from __future__ import annotations

import importlib.util
import os
import stat
import tempfile
import uuid
from pathlib import Path
from typing import Any

from orchestrator.doctor.findings import Finding
from orchestrator.doctor.node_probe import is_cached, is_offline, probe, try_folder
from orchestrator.doctor.requirements import check_requirements
from orchestrator.doctor.wanted import Wanted
from orchestrator.execution.packing import max_num_packs
from orchestrator.planning.discovery import load_task
from orchestrator.request import Request
from orchestrator.running.plan import Plan, make_plan
from orchestrator.view.output import redirect_output
from tasks.contract import RequestError


def examine(task: str | None, request: Request) -> list[Finding]:
    """Every line there is to say, in the order in which things build on each other.

    Raises:
        RequestError: if what is asked for does not exist, such as a task of that name.
    """
    if task is not None:
        load_task(task)  # of that name there must be one
    findings = check_requirements()
    paths, hub = _sources(request.model, request.data)
    address = request.address or os.environ.get("RAY_ADDRESS")
    wanted = Wanted(request=request, task=task, address=address, paths=paths, hub=hub)
    findings += _check_out(request.out)
    found, plan = _check_sources(wanted)
    findings += found
    packs = None if plan is None else max_num_packs(plan.task, plan.trials) or None
    own = probe(salt=uuid.uuid4().hex, out=request.out, marker=None, paths=paths, hub=hub)
    findings += _check_gpus(own)
    if importlib.util.find_spec("ray") is None:
        if address:
            mend = "pip install 'ray[tune]'"
            findings.append(Finding("wrong", "ray", f"is needed for --address {address}", mend))
        return [*findings, Finding("ok", "placement", "1 slot, in this process (--engine local)")]
    findings += check_token(address)
    return findings + _ask_ray(wanted, packs)


def _sources(model: str | None, data: str | None) -> tuple[list[str], list[str]]:
    """Absolute paths that model and data name, and Hugging Face ids; a factory is neither."""
    paths, hub = [], []
    for part in (model or "").split("+"):
        if part.startswith((".", "/", "~")) or Path(part).expanduser().is_dir():
            paths.append(part)
        elif part.count("/") == 1 and ":" not in part:
            hub.append(part)
    kind, _, folder = (data or "").partition(",val=")[0].partition(":")
    if folder and kind != "hub" and ("/" in folder or Path(folder).expanduser().exists()):
        paths.append(folder)
    return [str(Path(path).expanduser().resolve()) for path in paths if path], hub


def _check_out(out: str) -> list[Finding]:
    found = try_folder(out if "://" in out else os.path.abspath(out))
    if found["error"]:
        mend = "name another folder or URI with --out, or mend its permissions"
        return [Finding("wrong", "--out", f"{out}: {found['error']}", mend)]
    return [Finding("ok", "--out", f"files can be written, read and deleted in {out}")]


def _check_sources(wanted: Wanted) -> tuple[list[Finding], Plan | None]:
    """Model and data as the task itself would look for them, or by their place without a task."""
    given = " and ".join(
        f"--{name} {value}"
        for name, value in (("model", wanted.request.model), ("data", wanted.request.data))
        if value
    )
    absent = [
        Finding("wrong", "sources", f"no such folder: {path}", "mend --model or --data")
        for path in wanted.paths
        if not os.path.exists(path)
    ]
    absent += [_uncached(name) for name in wanted.hub if not is_cached(name)]
    if absent or wanted.task is None:  # the task would download what is not cached
        return absent or ([Finding("ok", "sources", given)] if given else []), None
    try:
        plan = make_plan(wanted.request)
    except RequestError as error:
        if not given:
            raise  # nothing of this machine: the request itself
        return [Finding("wrong", "sources", str(error), "mend --model or --data")], None
    names = f"model {plan.factory.model.name}, data {plan.factory.data.name}"
    return [Finding("ok", "sources", names)], plan


def _uncached(name: str) -> Finding:
    if is_offline():
        mend = "unset HF_HUB_OFFLINE, or copy the model here and name its folder"
        return Finding("wrong", "sources", f"{name} is not in the cache", mend)
    mend = "a sweep downloads it first; if that must not be, name a folder"
    return Finding("warning", "sources", f"{name} is not in the cache", mend)


def _check_gpus(own: Any) -> list[Finding]:
    names = own["gpus"]
    if not names:
        return [Finding("ok", "gpus", "none on this machine: it computes on its processors")]
    if own["torch_gpus"] < len(names):
        mend = "install the CUDA build of torch for this driver; see `nvidia-smi`"
        text = f"nvidia-smi lists {len(names)}, torch sees {own['torch_gpus']}"
        return [Finding("wrong", "gpus", text, mend)]
    return [Finding("ok", "gpus", ", ".join(names))]


def check_token(address: str | None) -> list[Finding]:
    """Whether Ray's token can be found and only by its owner; it is never read."""
    mode = os.environ.get("RAY_AUTH_MODE")
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    findings = []
    if mode is None and address:
        mend = "export RAY_AUTH_MODE=token (or disabled) on every node"
        text = "RAY_AUTH_MODE is not set, so it depends on each node's version of Ray"
        findings.append(Finding("warning", "token", text, mend))
    if mode == "token" and not os.environ.get("RAY_AUTH_TOKEN") and not file.is_file():
        mend = f"copy the head's token to {file}; a new one: `ray get-auth-token --generate`"
        findings.append(Finding("wrong", "token", "RAY_AUTH_MODE=token, but there is none", mend))
    if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077 and mode != "disabled":
        text = f"others on this machine can read {file}"
        findings.append(Finding("warning", "token", text, f"chmod 600 {file}"))
    return findings or [Finding("ok", "token", f"RAY_AUTH_MODE is {mode or 'not set'}")]


def _ask_ray(wanted: Wanted, packs: int | None) -> list[Finding]:
    """Ray's part, its chatter kept off the terminal."""
    with (
        tempfile.NamedTemporaryFile(prefix="orchestrator-", suffix=".log") as log,
        redirect_output(log.name),
    ):
        from orchestrator.doctor.cluster import ask_ray

        return ask_ray(wanted, packs)
