"""Checks this machine, and then the Ray cluster."""

from __future__ import annotations

import os
import stat
import tempfile
import uuid
from pathlib import Path
from typing import Any

from orchestrator.cgroups import installed_memory
from orchestrator.doctor.data_folder import data_folder
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.node_probe import is_cached, is_offline, probe, try_folder
from orchestrator.doctor.requirements import check_requirements
from orchestrator.doctor.target import Target
from orchestrator.execution.packing import max_num_packs
from orchestrator.planning.discovery import load_task
from orchestrator.request import Request
from orchestrator.running.plan import Plan, make_plan
from orchestrator.view.output import redirect_output
from results.extras import is_installed, missing
from tasks.contract import RequestError


def diagnose(task: str | None, request: Request) -> list[Finding]:
    """Return all findings, each after those that it depends on.

    Raises:
        RequestError: if the request names something that does not exist, such as an unknown task.
    """
    if task is not None:
        load_task(task)
    findings = check_requirements()
    paths, hub_models = split_sources(request.model, request.data)
    address = request.address or os.environ.get("RAY_ADDRESS")
    target = Target(request=request, task=task, address=address, paths=paths, hub_models=hub_models)
    findings += _check_out(request.out)
    source_findings, plan = _check_sources(target)
    findings += source_findings
    num_packs = None if plan is None else max_num_packs(plan.task, plan.trials) or None
    own = probe(
        salt=uuid.uuid4().hex, out=request.out, marker=None, paths=paths, hub_models=hub_models
    )
    findings += [*check_limits(own), *_check_gpus(own)]
    if not is_installed("ray"):
        if address:
            text, _, command = missing(f"--address {address}", "ray").rpartition(": ")
            findings.append(Finding("error", "ray", text, command))
        placement = Finding("ok", "placement", "1 worker: this process (--engine local)")
        return [*findings, placement]
    findings += check_token(address)
    return findings + _check_ray(target, num_packs)


def split_sources(model: str | None, data: str | None) -> tuple[list[str], list[str]]:
    """Return the absolute paths and the Hugging Face ids that --model and --data name.

    A factory (``package.module:function``) is neither.
    """
    paths, hub_models = [], []
    for part in (model or "").split("+"):
        if part.startswith((".", "/", "~")) or Path(part).expanduser().is_dir():
            paths.append(part)
        elif part.count("/") == 1 and ":" not in part:
            hub_models.append(part)
    folder = data_folder(data or "")
    if folder is not None:
        paths.append(folder)
    return [str(Path(path).expanduser().resolve()) for path in paths if path], hub_models


def _check_out(out: str) -> list[Finding]:
    found = try_folder(out if "://" in out else os.path.abspath(out))
    if found["error"]:
        fix = "name another folder or URI with --out, or fix its permissions"
        return [Finding("error", "--out", f"{out}: {found['error']}", fix)]
    return [Finding("ok", "--out", f"files can be written, read and deleted in {out}")]


def _check_sources(target: Target) -> tuple[list[Finding], Plan | None]:
    """Check model and data, with the task's own checks if a task is named."""
    given = " and ".join(
        f"--{name} {value}"
        for name, value in (("model", target.request.model), ("data", target.request.data))
        if value
    )
    absent = [
        Finding("error", "sources", f"no such folder: {path}", "fix --model or --data")
        for path in target.paths
        if not os.path.exists(path)
    ]
    absent += [_not_cached(name) for name in target.hub_models if not is_cached(name)]
    if absent or target.task is None:  # the task would download a model that is not cached
        return absent or ([Finding("ok", "sources", given)] if given else []), None
    try:
        plan = make_plan(target.request)
    except RequestError as error:
        if not given:
            raise  # the request is at fault, not this machine
        return [Finding("error", "sources", str(error), "fix --model or --data")], None
    names = f"model {plan.factory.model.name}, data {plan.factory.data.name}"
    return [Finding("ok", "sources", names)], plan


def _not_cached(name: str) -> Finding:
    text = f"{name} is not in the Hugging Face cache"
    if is_offline():
        fix = "unset HF_HUB_OFFLINE, or pass a local folder"
        return Finding("error", "sources", text, fix)
    fix = "downloaded on first use; pass a local folder to avoid the download"
    return Finding("warning", "sources", text, fix)


def check_limits(own: Any) -> list[Finding]:
    """Report the limits of this process, if it has any."""
    parts = []
    if own["cpus"] is not None:
        parts.append(f"{own['cpus']} of {os.cpu_count()} CPUs")
    if own["memory"] is not None:
        parts.append(
            f"{own['memory'] / 1e9:.1f} of {(installed_memory() or 0) / 1e9:.1f} GB memory"
        )
    text = f"this process may use {' and '.join(parts)}"
    return [Finding("ok", "limits", text)] if parts else []


def _check_gpus(own: Any) -> list[Finding]:
    names = own["gpus"]
    if not names:
        return [Finding("ok", "gpus", "none on this machine: trials run on the CPU")]
    if own["torch_gpus"] < len(names):
        fix = "install the CUDA build of torch for this driver; see `nvidia-smi`"
        text = f"nvidia-smi lists {len(names)}, torch sees {own['torch_gpus']}"
        return [Finding("error", "gpus", text, fix)]
    return [Finding("ok", "gpus", ", ".join(names))]


def check_token(address: str | None) -> list[Finding]:
    """Check that Ray's token exists and that only its owner can read it. Does not read it."""
    mode = os.environ.get("RAY_AUTH_MODE")
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    findings = []
    if mode is None and address:
        text = "RAY_AUTH_MODE is not set, so each node uses the default of its version of Ray"
        fix = "export RAY_AUTH_MODE=token (or disabled) on every node"
        findings.append(Finding("warning", "token", text, fix))
    if mode == "token" and not os.environ.get("RAY_AUTH_TOKEN") and not file.is_file():
        text = "RAY_AUTH_MODE is token, but no token was found"
        fix = f"copy the head's token to {file}, or create one with `ray get-auth-token --generate`"
        findings.append(Finding("error", "token", text, fix))
    if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077 and mode != "disabled":
        text = f"other users of this machine can read {file}"
        findings.append(Finding("warning", "token", text, f"chmod 600 {file}"))
    return findings or [Finding("ok", "token", f"RAY_AUTH_MODE is {mode or 'not set'}")]


def _check_ray(target: Target, num_packs: int | None) -> list[Finding]:
    """Check the cluster, with Ray's own output kept off the terminal."""
    with (
        tempfile.NamedTemporaryFile(prefix="orchestrator-", suffix=".log") as log,
        redirect_output(log.name),
    ):
        from orchestrator.doctor.cluster import check_cluster

        return check_cluster(target, num_packs)
