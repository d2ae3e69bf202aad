"""What a Ray cluster is, asked of each of its nodes by a task that is pinned to it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.doctor import node_probe
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.wanted import Wanted, driver_marker
from orchestrator.engines.ray.engine import alive_nodes, connect
from orchestrator.execution.placement import STAGE_GPU_FRACTION, initial_gpus, place_workers
from results.text import plural
from tasks.contract import RequestError

SECONDS = 90.0  # that a node may take to answer: it may have to start a worker first
MUST_AGREE = ("python", "ray", node_probe.PROJECT)


def ask_ray(wanted: Wanted, packs: int | None) -> list[Finding]:
    """Join the cluster, or start one here, ask every node, and leave."""
    try:
        connect(wanted.address)
    except RequestError as error:
        reason, _, mend = str(error).partition("; ")
        return [Finding("wrong", "ray", reason, mend)]
    try:
        nodes = alive_nodes()
        findings = [_found(wanted.address, nodes)]
        with driver_marker(wanted.request.out) as marker:
            salt = uuid.uuid4().hex
            own = _probe(wanted, salt, marker)
            answers = _ask(nodes, wanted, salt, marker)
        for node in nodes:
            name = _name(node, nodes)
            findings += _judge(name, node, answers[node["NodeID"]], own, wanted, marker)
        return [*findings, *_placement(nodes, wanted, packs)]
    finally:
        ray.shutdown()


def _found(address: str | None, nodes: Sequence[Mapping[str, Any]]) -> Finding:
    where = f"the cluster at {address}" if address else "started on this machine"
    cpus, gpus = (sum(node["Resources"].get(what, 0) for node in nodes) for what in ("CPU", "GPU"))
    number = f"{len(nodes)} node{'s' if len(nodes) > 1 else ''}"
    text = f"{ray.__version__}, {where}: {number}, {cpus:g} CPUs, {gpus:g} GPUs"
    return Finding("ok", "ray", text)


def _arguments(wanted: Wanted, salt: str, marker: str | None) -> dict[str, Any]:
    out = wanted.request.out
    return {
        "salt": salt,
        "out": out if "://" in out else os.path.abspath(out),
        "marker": marker,
        "paths": wanted.paths,
        "hub": wanted.hub,
    }


def _probe(wanted: Wanted, salt: str, marker: str | None) -> Any:
    return node_probe.probe(**_arguments(wanted, salt, marker))


def _ask(
    nodes: Sequence[Mapping[str, Any]], wanted: Wanted, salt: str, marker: str | None
) -> dict[str, Any]:
    """Each node's answer by its id, or the exception it gave."""
    cloudpickle.register_pickle_by_value(node_probe)
    try:
        refs = {}
        for node in nodes:
            pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task: Any = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=pinned)
            refs[node["NodeID"]] = task(node_probe.probe).remote(**_arguments(wanted, salt, marker))
        ray.wait(list(refs.values()), num_returns=len(refs), timeout=SECONDS)
    finally:
        cloudpickle.unregister_pickle_by_value(node_probe)
    answers: dict[str, Any] = {}
    for node_id, ref in refs.items():
        try:
            answers[node_id] = ray.get(ref, timeout=0)
        except Exception as error:  # whatever it is, it is this node's
            answers[node_id] = error
    return answers


def _name(node: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> str:
    """A node by its address, and by its id where several have one address."""
    address = node["NodeManagerAddress"]
    alike = sum(each["NodeManagerAddress"] == address for each in nodes)
    return f"node {address}" + (f" {node['NodeID'][:6]}" if alike > 1 else "")


def _judge(
    name: str,
    node: Mapping[str, Any],
    answer: Any,
    own: Any,
    wanted: Wanted,
    marker: str | None,
) -> list[Finding]:
    """What is to be said of one node; one line if all is well."""
    if isinstance(answer, Exception):
        text = str(answer).strip().splitlines() or [type(answer).__name__]
        mend = "see `ray status`, and the logs under /tmp/ray on that node"
        return [Finding("wrong", name, f"runs no task: {text[-1].strip()}", mend)]
    findings = [
        *_differing(name, answer["versions"], own["versions"]),
        *_gpus(name, node, answer),
        *_storage(name, answer["out"], wanted, marker),
        *_sources(name, answer, wanted),
        *_token(name, answer, own, wanted),
    ]
    cpus, gpus = (node["Resources"].get(what, 0) for what in ("CPU", "GPU"))
    if findings:
        return findings
    return [Finding("ok", name, f"{answer['host']}: {cpus:g} CPUs, {gpus:g} GPUs, as the driver")]


def _differing(name: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[Finding]:
    findings = []
    for what, version in ours.items():
        other = theirs.get(what, "missing")
        if other == version:
            continue
        told = f"{what} {other}, the driver has {version}"
        if what in MUST_AGREE or other == "missing":
            mend = "install the same on every node, and start its Ray again"
            findings.append(Finding("wrong", name, told, mend))
        else:
            mend = f"pip install '{what}=={version}' there: numbers may differ"
            findings.append(Finding("warning", name, told, mend))
    return findings


def _gpus(name: str, node: Mapping[str, Any], answer: Any) -> list[Finding]:
    counted, listed, seen = (
        int(node["Resources"].get("GPU", 0)),
        len(answer["gpus"]),
        answer["torch_gpus"],
    )
    if seen < listed:
        mend = "install the CUDA build of torch for that node's driver"
        return [Finding("wrong", name, f"nvidia-smi lists {listed} GPUs, torch sees {seen}", mend)]
    if counted != listed:
        told = f"Ray counts {counted} GPUs, nvidia-smi lists {listed}"
        mend = "start its Ray with --num-gpus as there are; trials asking for one fall back to CPU"
        return [Finding("warning", name, told, mend)]
    return []


def _storage(
    name: str, found: Mapping[str, Any], wanted: Wanted, marker: str | None
) -> list[Finding]:
    out = wanted.request.out
    if found["error"]:
        mend = "checkpoints go there: mend its permissions, or name a shared folder or s3:// URI"
        return [Finding("wrong", name, f"cannot write to {out}: {found['error']}", mend)]
    if marker is not None and not found["sees"]:
        told = (
            f"its {out} is not the driver's: checkpoints stay on each node, and a trial that "
            "moves to another node starts again"
        )
        return [Finding("warning", name, told, "name a shared folder or an s3:// URI with --out")]
    return []


def _sources(name: str, answer: Any, wanted: Wanted) -> list[Finding]:
    findings = [
        Finding("wrong", name, f"has no {path}", "copy it there, or use a shared folder")
        for path in answer["missing"]
    ]
    for model in answer["not_cached"]:
        if answer["offline"]:
            mend = "unset HF_HUB_OFFLINE there, or copy the Hugging Face cache"
            findings.append(
                Finding("wrong", name, f"{model} is not in its cache and it is offline", mend)
            )
        else:
            told = f"{model} is not in its cache"
            findings.append(Finding("warning", name, told, "it will be downloaded there once"))
    return findings


def _token(name: str, answer: Any, own: Any, wanted: Wanted) -> list[Finding]:
    if answer["token"] == own["token"] or not own["token"]:
        return []
    told = "HF_TOKEN is another than the driver's" if answer["token"] else "HF_TOKEN is not set"
    mend = "export the same on every node: gated models cannot be downloaded there"
    return [Finding("warning", name, told, mend)]


def _placement(
    nodes: Sequence[Mapping[str, Any]], wanted: Wanted, packs: int | None
) -> list[Finding]:
    try:
        found = place_workers(
            [node["Resources"] for node in nodes],
            max_packs=packs,
            cpus_per_trial=wanted.request.cpus_per_trial,
            gpus_per_trial=initial_gpus(wanted.request.gpus_per_trial),
        )
    except RequestError as error:
        reason, _, mend = str(error).partition("; ")
        return [Finding("wrong", "placement", reason, mend)]
    slots = f"{found.num_workers} slot{'s' if found.num_workers > 1 else ''}"
    gpus = f"{found.gpus:g} GPU ({STAGE_GPU_FRACTION:.0%} of it left to shared stages)"
    each = f"{found.cpus} CPU{'s' if found.cpus > 1 else ''}, as many threads, "
    each += gpus if found.gpus else "no GPU"
    whose = f"{wanted.task}: " if wanted.task else ""
    of = f" for at most {plural(packs, 'pack')}" if packs else ""
    if wanted.request.gpus_per_trial == "auto":
        of += " until a trial has been measured, then as its memory allows"
    return [Finding("ok", "placement", f"{whose}{slots}{of}, each {each}")]
