"""Group the members of a pack into stacks, which are trained together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tasks import process_group
from tasks.contract import Member, Trial
from tasks.models.factories import is_factory
from tasks.models.families import text_part
from tasks.models.heads import can_stack
from tasks.retrieval.loop import part_of
from tasks.retrieval.memory import trained_bytes
from tasks.retrieval.params import Params

STACK_BYTES = 32 * 2**20  # weights, gradients and moments of a stack of heads on a CPU
ENCODER_BYTES = 2**30  # weights, gradients, moments and activations of stacked adapters on a CPU


def make_stacks(members: Sequence[Member], device: str) -> list[list[Member]]:
    """Group members into stacks, whose weights have the same shapes.

    Heads share the batch size, the loss and the pairs, and adapters share what they see, too. Fully
    trained encoders are alone. On a CPU, the size of a stack is limited: a stack of heads must fit
    into the cache, and one of adapters needs memory for the activations of all.
    Several ranks train one trial at a time.
    """
    groups: dict[Hashable, list[Member]] = {}
    for member in members:
        groups.setdefault(_stack_key(member), []).append(member)
    stacks = []
    for group in groups.values():
        size = _most_on_cpu(group[0]) if device == "cpu" else len(group)
        size = 1 if process_group.current().size > 1 else size
        stacks += [group[first : first + size] for first in range(0, len(group), size)]
    return stacks


def _stack_key(member: Member) -> Hashable:
    trial, weights = member.trial, part_of(member.state, "weight")
    params: Params = trial.params
    stacks = {"head": can_stack(weights), "lora": _can_stack_adapters(trial), "full": False}
    if not stacks[params.trainable]:
        return trial.id
    shapes = tuple((name, tuple(value.shape)) for name, value in weights.items())
    key = (shapes, params.batch_size, params.loss, _num_pairs(params), trial.data)
    return key if params.trainable == "head" else (key, trial.model, params.shared_by_adapters())


def _can_stack_adapters(trial: Trial) -> bool:
    """Return whether a trial in a stack has the results that it has alone.

    In bfloat16, the rounding depends on the stack. A factory's text encoder may pad captions to the
    longest of all members, and read what is padded.
    """
    is_float32 = trial.params.precision == "float32"
    return is_float32 and not is_factory(text_part(trial.model.name))


def _num_pairs(params: Params) -> object:
    """Return what decides the number of pairs of an epoch, besides the batch size."""
    return ("all", params.num_captions) if params.pairs == "all" else "images"


def _most_on_cpu(member: Member) -> int:
    """Return the number of members of a stack on a CPU."""
    if member.trial.params.trainable == "lora":
        return max(1, ENCODER_BYTES // max(1, trained_bytes(member.trial)))
    num_bytes = 4 * sum(v.numel() * 4 for v in part_of(member.state, "weight").values())
    return max(1, STACK_BYTES // num_bytes)
