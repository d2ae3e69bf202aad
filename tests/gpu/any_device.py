"""Checks of a subject on any device, also on the CPU. Each returns its figures as text."""

from __future__ import annotations

import contextlib
import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gpu.peaks import peak_bytes
from gpu.running import Finished, exact_float32, finished, inputs_of, run
from gpu.subjects import BFLOAT16_TOLERANCE, Subject
from PIL import Image

from tasks.contract import Advanced, Inputs, Member, Source, State, Step, Task, Trial


def agrees_with_cpu(subject: Subject, device: str, folder: Path) -> str:
    """Stages, training and decoding on the device give the results of the CPU."""
    with exact_float32():
        return _compare(subject, finished(subject, device), finished(subject, "cpu"))


def pack_equals_members(subject: Subject, device: str, folder: Path) -> str:
    """A pack gives each member the results that it has alone on the same device."""
    with exact_float32():
        alone = finished(subject, device, together=False)
        return _compare(subject, finished(subject, device), alone)


def checkpoints_move(subject: Subject, device: str, folder: Path) -> str:
    """A trial that moves between CPU and device after every step ends like one that stays."""
    from orchestrator.saving.checkpoints import decode, encode

    def move(state: State, where: str) -> State:
        restored, _ = decode(encode(state, []), where)
        kind = where.split(":")[0]
        tensors = [v for v in restored.arrays.values() if isinstance(v, torch.Tensor)]
        assert all(tensor.device.type == kind for tensor in tensors)
        return restored

    with exact_float32():
        moved = run(
            subject.task,
            subject.trials,
            lambda number: device if number % 2 else "cpu",
            move,
        )
        return _compare(subject, moved, finished(subject, "cpu"))


def _compare(subject: Subject, found: list[Finished], expected: list[Finished]) -> str:
    figures = [
        subject.compare(one.step, other.step) for one, other in zip(found, expected, strict=True)
    ]
    return figures[0]


def export_loads_on_cpu(subject: Subject, device: str, folder: Path) -> str:
    """The program of a model's card runs on the CPU after training on the device."""
    import safetensors.numpy

    from orchestrator.saving.checkpoints import serialize

    task, trial = subject.task, subject.trials[0]
    done = finished(subject, device)[0]
    arrays: Any = {}
    if task.has_weights:
        arrays = safetensors.numpy.load(serialize(task.weights(trial, done.state)))
    target = folder / subject.name.replace(" ", "-")
    target.mkdir()
    export = task.export(trial, arrays, done.state.values, target)
    Image.new("RGB", (64, 64), "red").save(target / "photo.jpg")
    scope: dict[str, Any] = {}
    with _inside(target):
        exec(compile(export.usage, f"the card of {subject.name}", "exec"), scope)
    tensors = [value for value in scope.values() if isinstance(value, torch.Tensor)]
    assert all(tensor.device.type == "cpu" for tensor in tensors)
    assert all(bool(tensor.float().isfinite().all()) for tensor in tensors)
    return f"{len(arrays)} arrays"


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Run a block as a program in this folder, whose own modules are forgotten afterwards."""
    modules, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]


def bfloat16_is_close(subject: Subject, device: str, folder: Path) -> str:
    """Training in bfloat16 ends near float32; every score is finite."""
    found, expected = finished(subject.at("bfloat16"), device), finished(subject, device)
    for one in found:
        assert all(math.isfinite(value) for value in one.step.metrics.values())
    if "loss" not in expected[0].step.metrics:
        return "all scores finite"
    apart = max(
        abs(one.step.metrics["loss"] / other.step.metrics["loss"] - 1)
        for one, other in zip(found, expected, strict=True)
    )
    assert apart <= BFLOAT16_TOLERANCE, (subject.name, apart)
    return f"loss {apart:.0e}"


def members_fit_their_estimates(subject: Subject, device: str, folder: Path) -> str:
    """Each further member of a pack takes at most its estimate.

    ``Packing`` relies on this: it puts as many members into a pack as estimates fit into the
    memory that is left.
    """
    task, trials = subject.task, subject.trials
    inputs = inputs_of(task, trials, device)
    _step_of(task, trials[:1], inputs, device)  # loads models and libraries
    one = peak_bytes(device, lambda: _step_of(task, trials[:1], inputs, device))
    pack = peak_bytes(device, lambda: _step_of(task, trials, inputs, device))
    others = sum(task.estimate_memory(trial) for trial in trials[1:])
    assert pack - one <= others, (subject.name, one, pack, others)
    return f"{(pack - one) / 2**20:.1f} of {others / 2**20:.0f} MiB"


def _step_of(task: Task, trials: Any, inputs: Any, device: str) -> None:
    """Start trials and advance them once."""
    members = [Member(trial=t, state=task.start(t, inputs, device)) for t in trials]
    for result in task.advance(members, inputs, device):
        assert not isinstance(result, Exception), result


@dataclass(frozen=True, kw_only=True)
class _Params:
    mebibytes: int


class _Allocating(Task):
    """A step takes the memory of all members together."""

    name, Params = "allocating", _Params

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        sizes = [member.trial.params.mebibytes * 2**20 for member in pack]
        kept = [torch.empty(size, dtype=torch.uint8, device=device) for size in sizes]
        return [
            (State(), Step(at=1, metrics={"bytes": float(len(each))}, done=True)) for each in kept
        ]


def out_of_memory(device: str, folder: Path, mebibytes: Sequence[int] = (1, 2**30, 2)) -> str:
    """Run members of these sizes as a pack; assert that only the largest runs out of memory."""
    from orchestrator.execution.events import Failure
    from orchestrator.execution.run_pack import run_pack
    from orchestrator.saving.checkpoint_writer import CheckpointWriter
    from orchestrator.saving.checkpoints import Checkpoints

    none = Source(name="none", fingerprint="1")
    common: Any = {"task": "allocating", "version": "1", "seed": 0, "model": none, "data": none}
    pack = [Trial(params=_Params(mebibytes=size), **common) for size in mebibytes]
    left = {trial.id: trial.params.mebibytes for trial in pack}
    writer = CheckpointWriter(checkpoints=Checkpoints(str(folder / "checkpoints")))
    failed = []
    for events in run_pack(_Allocating(), pack, {}, device, writer):
        for event in events:
            size = left.pop(event.trial_id)
            if isinstance(event.outcome, Failure):
                assert event.outcome.out_of_memory, event.outcome.reason
                failed.append(size)
    assert not left
    assert failed == [max(mebibytes)]
    return f"1 of {len(mebibytes)} failed"


#: Checks of each subject.
CHECKS = (
    agrees_with_cpu,
    pack_equals_members,
    checkpoints_move,
    export_loads_on_cpu,
    bfloat16_is_close,
    members_fit_their_estimates,
)
