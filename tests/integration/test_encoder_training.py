"""Options of training encoders: cached gradients, checkpointing, precision, layer-wise rates."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from retrieval_trials import make_model_trial
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tasks.contract import Member, ModelError, State, Trial
from tasks.datasets import scenes
from tasks.retrieval import full, gradients, network, training
from tasks.retrieval.task import TASK

Tiny = Callable[[str], str]


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SPLITS", {"train": 24, "val": 8, "test": 8})


def make(name: str, **params: Any) -> Trial:
    given = {"trainable": "full", "batch_size": 8, "lr": 1e-3, "epochs": 1, "precision": "float32"}
    return make_model_trial(name, **given | params)


def train(trial: Trial) -> tuple[State, State]:
    """Return the states before and after an epoch."""
    (stage,) = TASK.stages(trial)
    inputs = {stage: stage.function(**stage.args, device="cpu")}
    before = training.start(trial, inputs, "cpu")
    (after,) = training.advance([Member(trial=trial, state=before)], inputs, "cpu")
    assert not isinstance(after, Exception), after
    return before, after[0]


def first_gradients(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Return the gradients of the first batch by name, without training."""
    found: list[list[torch.Tensor | None]] = []

    def record(*args: Any) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        loss, grads = original[len(args[1]) > 1](*args)
        found.append(list(grads))
        return loss, grads

    original = (gradients.whole_gradients, gradients.cached_gradients)
    with monkeypatch.context() as patch:
        patch.setattr(gradients, "whole_gradients", record)
        patch.setattr(gradients, "cached_gradients", record)
        before, _ = train(trial)
    names = sorted(name for name in before.arrays if name.startswith("weight."))
    pairs = zip(names, found[0], strict=True)
    return {name: value for name, value in pairs if value is not None}


@pytest.mark.parametrize("loss", ["contrastive", "sigmoid"])
@pytest.mark.parametrize("trainable", ["full", "lora"])
@pytest.mark.parametrize("kind", ["blip", "clip", "siglip"])
def test_chunks_and_checkpointing_do_not_change_the_gradient(
    tiny: Tiny, kind: str, trainable: str, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunks are uneven: 3, 3 and 2 of 8 pairs."""
    common = {"trainable": trainable, "loss": loss, "learn_temperature": True}
    expected = first_gradients(make(tiny(kind), **common), monkeypatch)
    assert any("log_temperature" in name for name in expected)
    for options in ({"chunk_size": 3}, {"gradient_checkpointing": True}):
        found = first_gradients(make(tiny(kind), **common, **options), monkeypatch)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_chunks_of_one_pair_do_not_change_the_gradient(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient of ViT's class token is then a view of that of its position embeddings."""
    name = f"{tiny('vit')}+{tiny('bert')}"
    expected = first_gradients(make(name, start="random"), monkeypatch)
    found = first_gradients(make(name, start="random", chunk_size=1), monkeypatch)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-5, msg=key)


class SavedBytes:
    """The bytes of the tensors that a forward pass keeps for the backward pass, each once."""

    def __init__(self) -> None:
        self.largest, self._known = 0, dict[int, int]()

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        self._known[storage.data_ptr()] = storage.nbytes()
        self.largest = max(self.largest, sum(self._known.values()))
        return tensor


def saved_bytes(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the most bytes that one loss keeps for its backward pass."""
    largest = 0

    def measured(find: Any) -> Any:
        def run(embed: Any, *rest: Any) -> Any:
            def count(chunk: Any) -> Any:
                nonlocal largest
                counter = SavedBytes()
                with torch.autograd.graph.saved_tensors_hooks(counter.pack, lambda kept: kept):
                    vectors = embed(chunk)
                largest = max(largest, counter.largest)
                return vectors

            return find(count, *rest)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(gradients, "whole_gradients", measured(gradients.whole_gradients))
        patch.setattr(gradients, "cached_gradients", measured(gradients.cached_gradients))
        train(trial)
    return largest


def test_chunks_and_checkpointing_save_memory(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    name = tiny("clip")
    whole = saved_bytes(make(name, trainable="lora"), monkeypatch)
    chunks = saved_bytes(make(name, trainable="lora", chunk_size=2), monkeypatch)
    layers = saved_bytes(make(name, trainable="lora", gradient_checkpointing=True), monkeypatch)
    assert chunks < whole / 2
    assert layers < whole / 2


def test_weights_are_float32_where_encoders_compute_in_bfloat16(tiny: Tiny) -> None:
    trial = make(tiny("clip"), precision="bfloat16")
    before, after = train(trial)
    assert {value.dtype for value in after.arrays.values()} == {torch.float32}
    exact, _ = train(make(tiny("clip"), lr=1e-5))
    assert all(torch.equal(before.arrays[name], exact.arrays[name]) for name in before.arrays)
    # Steps of the size of the learning rate survive, although bfloat16 has only 8 bits.
    _, small = train(dataclasses.replace(trial, params=make(tiny("clip"), lr=1e-6).params))
    name = "weight.backbone.text.backbone.encoder.layers.0.mlp.fc1.weight"
    assert not torch.equal(small.arrays[name], before.arrays[name])


def test_lower_layers_move_less(tiny: Tiny) -> None:
    """AdamW moves a weight by about the learning rate in each of the three steps."""
    before, after = train(make(tiny("clip"), layer_decay=0.1))

    def moved(name: str) -> float:
        key = f"weight.{name}"
        return float((after.arrays[key] - before.arrays[key]).abs().max())

    layers = [f"backbone.image.backbone.encoder.layers.{n}.mlp.fc1.weight" for n in (0, 1)]
    embedding = "backbone.image.backbone.embeddings.patch_embedding.weight"
    ratio = moved(layers[1]) / moved(layers[0])
    assert 9 < ratio < 11
    assert 9 < moved(layers[0]) / moved(embedding) < 11
    assert 9 < moved("image.weight") / moved(layers[1]) < 11


def test_prefetching_does_not_change_the_result(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make(tiny("clip"), augment=True)
    _, expected = train(trial)
    monkeypatch.setattr(full, "num_threads", lambda device: 3)
    _, found = train(trial)
    assert all(torch.equal(found.arrays[name], value) for name, value in expected.arrays.items())


def plain_encoder() -> tuple[torch.nn.Module, Any]:
    return torch.nn.Linear(3, 4), lambda images: torch.zeros(len(images), 3)


def test_an_encoder_without_such_layers_cannot_be_checkpointed(tiny: Tiny) -> None:
    name = f"{__name__}:plain_encoder+{tiny('bert')}"
    trial = make(name, start="random", gradient_checkpointing=True)
    with pytest.raises(ModelError, match="has no layers for gradient checkpointing"):
        network.build([trial], network.initial_weights(trial, "cpu"), "cpu")


def test_options_without_effect_do_not_change_a_trial(tiny: Tiny) -> None:
    name = tiny("clip")
    head = make(name, trainable="head")
    options = {"layer_decay": 0.5, "gradient_checkpointing": True, "chunk_size": 2}
    assert make(name, trainable="head", **options).id == head.id
    assert make(name, trainable="head", warmup_ratio=0.1).id != head.id
    assert make(name, trainable="lora", layer_decay=0.5).id == make(name, trainable="lora").id
    same = {
        "layer_decay": 1.0,
        "gradient_checkpointing": False,
        "chunk_size": 8,
        "warmup_ratio": 0.0,
    }
    assert make(name, **same).id == make(name).id


class PeakBytes(TorchDispatchMode):
    """The most bytes of tensors that were made inside and were in memory together."""

    def __init__(self) -> None:
        super().__init__()
        self.largest, self._live = 0, dict[int, int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key = storage.data_ptr()
                if key not in self._live:
                    self._live[key] = storage.nbytes()
                    weakref.finalize(storage, self._live.pop, key, None)
        self.largest = max(self.largest, sum(self._live.values()))
        return out


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("blip", {}),
        ("clip", {}),
        ("siglip", {}),
        ("siglip2", {}),
        ("metaclip_2", {}),
        ("pair", {}),
        ("clip", {"trainable": "lora"}),
        ("siglip2", {"trainable": "lora"}),
        ("clip", {"precision": "bfloat16"}),
        ("siglip", {"chunk_size": 4}),
        ("blip", {"gradient_checkpointing": True}),
        ("blip", {"itm_weight": 1.0}),
        ("blip", {"itm_weight": 1.0, "trainable": "lora"}),
        ("blip", {"itm_weight": 1.0, "gradient_checkpointing": True}),
    ],
)
def test_the_estimate_of_memory_is_within_a_fifth(
    tiny: Tiny, kind: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluated split is larger than a batch, and needs no more memory than training."""
    monkeypatch.setattr(scenes, "SPLITS", {"train": 24, "val": 80, "test": 8})
    name = f"{tiny('vit')}+{tiny('bert')}" if kind == "pair" else tiny(kind)
    start = {"start": "random"} if kind == "pair" else {}
    trial = make(name, **start | {"batch_size": 24} | params)
    dual = network._load(trial, "cpu")
    parameters = [p for each in (dual.image, dual.text) for p in each.tower.parameters()]
    with PeakBytes() as counter:  # from the state before the epoch on
        train(trial)
    peak = counter.largest + sum(p.numel() * p.element_size() for p in parameters)
    estimate = TASK.estimate_memory(trial)
    assert estimate == pytest.approx(peak, rel=0.2)
