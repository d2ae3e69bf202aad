"""Checks every node of a Ray cluster with a Ray task that is pinned to the node."""

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

from orchestrator import cgroups
from orchestrator.doctor import node_probe
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.target import Target, driver_marker
from orchestrator.engines.ray.engine import alive_nodes, connect
from orchestrator.execution.placement import initial_gpus, place_workers, stage_gpus
from results.text import plural
from tasks.contract import RequestError

PROBE_TIMEOUT = 90.0  # seconds; a node may have to start a worker first
SENT_BY_VALUE = (cgroups, node_probe)
MUST_MATCH = ("python", "ray", node_probe.PROJECT)


def check_cluster(target: Target, num_packs: int | None) -> list[Finding]:
    """Connect to the cluster, or start one on this machine, and check every node.

    Args:
        target: the sweep that should run.
        num_packs: the most packs that it can run at once; None if unknown.
    """
    try:
        connect(target.address)
    except RequestError as error:
        reason, _, fix = str(error).partition("; ")
        return [Finding("error", "ray", reason, fix)]
    try:
        nodes = alive_nodes()
        findings = [_describe_cluster(target.address, nodes)]
        with driver_marker(target.request.out) as marker:
            arguments = _probe_arguments(target, marker)
            own = node_probe.probe(**arguments)
            answers = _probe_nodes(nodes, arguments)
        for node in nodes:
            name = _node_name(node, nodes)
            findings += _check_node(name, node, answers[node["NodeID"]], own, target, marker)
        return [*findings, *_check_placement(nodes, target, num_packs)]
    finally:
        ray.shutdown()


def _describe_cluster(address: str | None, nodes: Sequence[Mapping[str, Any]]) -> Finding:
    where = f"the cluster at {address}" if address else "started on this machine"
    cpus, gpus = (sum(node["Resources"].get(what, 0) for node in nodes) for what in ("CPU", "GPU"))
    text = f"{ray.__version__}, {where}: {plural(len(nodes), 'node')}"
    return Finding("ok", "ray", f"{text}, {cpus:g} CPUs, {gpus:g} GPUs")


def _probe_arguments(target: Target, marker: str | None) -> dict[str, Any]:
    out = target.request.out
    return {
        "salt": uuid.uuid4().hex,
        "out": out if "://" in out else os.path.abspath(out),
        "marker": marker,
        "paths": target.paths,
        "hub_models": target.hub_models,
    }


def _probe_nodes(
    nodes: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return each node's answer, or the exception that it raised, by node id."""
    for module in SENT_BY_VALUE:
        cloudpickle.register_pickle_by_value(module)
    try:
        refs = {}
        for node in nodes:
            pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task: Any = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=pinned)
            refs[node["NodeID"]] = task(node_probe.probe).remote(**arguments)
        ray.wait(list(refs.values()), num_returns=len(refs), timeout=PROBE_TIMEOUT)
    finally:
        for module in SENT_BY_VALUE:
            cloudpickle.unregister_pickle_by_value(module)
    answers: dict[str, Any] = {}
    for node_id, ref in refs.items():
        try:
            answers[node_id] = ray.get(ref, timeout=0)
        except Exception as error:  # becomes a finding about this node
            answers[node_id] = error
    return answers


def _node_name(node: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> str:
    """Return a node's address, with its id if several nodes have the same address."""
    address = node["NodeManagerAddress"]
    alike = sum(each["NodeManagerAddress"] == address for each in nodes)
    return f"node {address}" + (f" {node['NodeID'][:6]}" if alike > 1 else "")


def _check_node(
    name: str,
    node: Mapping[str, Any],
    answer: Any,
    own: Any,
    target: Target,
    marker: str | None,
) -> list[Finding]:
    """Return the problems of one node, or a single "ok" finding."""
    if isinstance(answer, Exception):
        lines = str(answer).strip().splitlines() or [type(answer).__name__]
        fix = "see `ray status`, and the logs under /tmp/ray on that node"
        return [Finding("error", name, f"cannot run a task: {lines[-1].strip()}", fix)]
    findings = [
        *_check_versions(name, answer["versions"], own["versions"]),
        *check_limits(name, node["Resources"], answer),
        *_check_gpus(name, node, answer),
        *_check_storage(name, answer["out"], target, marker),
        *_check_sources(name, answer),
        *_check_hf_token(name, answer, own),
    ]
    if findings:
        return findings
    cpus, gpus = (node["Resources"].get(what, 0) for what in ("CPU", "GPU"))
    text = f"{answer['host']}: {cpus:g} CPUs, {gpus:g} GPUs, same versions as the driver"
    return [Finding("ok", name, text)]


def _check_versions(name: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[Finding]:
    findings = []
    for what, version in ours.items():
        other = theirs.get(what, "missing")
        if other == version:
            continue
        text = f"{what} {other}, the driver has {version}"
        if what in MUST_MATCH or other == "missing":
            fix = "install the same version on every node, and restart Ray there"
            findings.append(Finding("error", name, text, fix))
        else:
            text += "; numbers may differ"
            fix = f"pip install '{what}=={version}' on that node"
            findings.append(Finding("warning", name, text, fix))
    return findings


def check_limits(
    name: str, resources: Mapping[str, float], answer: Mapping[str, int | None]
) -> list[Finding]:
    """Compare what Ray counts on a node with the limits of a process there."""
    findings = []
    cpus, memory = answer["cpus"], answer["memory"]
    if cpus is not None and resources.get("CPU", 0) > cpus:
        text = f"Ray counts {resources['CPU']:g} CPUs, but a process there may use {cpus}"
        fix = f"restart Ray on that node with --num-cpus={cpus}"
        findings.append(Finding("warning", name, text, fix))
    if memory is not None and resources.get("memory", 0) > memory:
        counted, limit = resources["memory"] / 1e9, memory / 1e9
        text = f"Ray counts {counted:.1f} GB of memory, but a process there may use {limit:.1f} GB"
        fix = f"restart Ray on that node with --memory={int(0.7 * memory)}"
        findings.append(Finding("warning", name, text, fix))
    return findings


def _check_gpus(name: str, node: Mapping[str, Any], answer: Any) -> list[Finding]:
    in_ray = int(node["Resources"].get("GPU", 0))
    listed, usable = len(answer["gpus"]), answer["torch_gpus"]
    if usable < listed:
        fix = "install the CUDA build of torch for that node's driver"
        text = f"nvidia-smi lists {listed} GPUs, torch sees {usable}"
        return [Finding("error", name, text, fix)]
    if in_ray != listed:
        text = f"Ray counts {in_ray} GPUs, nvidia-smi lists {listed}"
        fix = f"restart Ray on that node with --num-gpus={listed}"
        return [Finding("warning", name, text, fix)]
    return []


def _check_storage(
    name: str, found: Mapping[str, Any], target: Target, marker: str | None
) -> list[Finding]:
    out = target.request.out
    if found["error"]:
        fix = "fix its permissions, or name a shared folder or an s3:// URI with --out"
        return [Finding("error", name, f"cannot write to {out}: {found['error']}", fix)]
    if marker is not None and not found["sees_marker"]:
        text = (
            f"{out} on this node is not the driver's folder: checkpoints stay on each node, and a "
            "trial that moves to another node starts from the beginning"
        )
        return [Finding("warning", name, text, "name a shared folder or an s3:// URI with --out")]
    return []


def _check_sources(name: str, answer: Any) -> list[Finding]:
    findings = [
        Finding("error", name, f"{path} is missing", "copy it there, or use a shared folder")
        for path in answer["missing"]
    ]
    for model in answer["not_cached"]:
        text = f"{model} is not in the Hugging Face cache"
        if answer["offline"]:
            fix = "unset HF_HUB_OFFLINE there, or copy the cache"
            text += ", and HF_HUB_OFFLINE is set"
            findings.append(Finding("error", name, text, fix))
        else:
            findings.append(Finding("warning", name, text, "downloaded there on first use"))
    return findings


def _check_hf_token(name: str, answer: Any, own: Any) -> list[Finding]:
    if answer["token"] == own["token"] or not own["token"]:
        return []
    text = "HF_TOKEN differs from the driver's" if answer["token"] else "HF_TOKEN is not set"
    fix = "export the same token on every node; gated models cannot be downloaded without it"
    return [Finding("warning", name, text, fix)]


def _check_placement(
    nodes: Sequence[Mapping[str, Any]], target: Target, num_packs: int | None
) -> list[Finding]:
    request = target.request
    try:
        found = place_workers(
            [node["Resources"] for node in nodes],
            max_packs=num_packs,
            cpus_per_trial=request.cpus_per_trial,
            gpus_per_trial=initial_gpus(request.gpus_per_trial),
        )
    except RequestError as error:
        reason, _, fix = str(error).partition("; ")
        return [Finding("error", "placement", reason, fix)]
    task = f"{target.task}: " if target.task else ""
    packs = f" for at most {plural(num_packs, 'pack')}" if num_packs else ""
    gpus = plural(int(found.gpus), "GPU") if found.gpus > 1 else f"{found.gpus:g} GPU"
    if stage_gpus(found.gpus):
        share = stage_gpus(found.gpus) / found.gpus
        gpus += f" (of which {share:.0%} is reserved for shared stages)"
    each = f"each with {plural(found.cpus, 'CPU')} and {gpus if found.gpus else 'no GPU'}"
    text = f"{task}{plural(found.num_workers, 'worker')}{packs}, {each}"
    if request.gpus_per_trial == "auto":
        text += ", until the memory of the first trial has been measured"
    return [Finding("ok", "placement", text)]
