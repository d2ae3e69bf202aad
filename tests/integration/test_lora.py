"""LoRA of image-text models: training, packs, and exports that peft loads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from retrieval_trials import make_model_trial
from tiny_models import CAPTIONS, IMAGES

from tasks.contract import Member, ModelError, State, Step, Trial
from tasks.models import families, heads
from tasks.retrieval import full, network, training
from tasks.retrieval.export import export
from tasks.retrieval.loop import part_of, stack_part
from tasks.retrieval.task import TASK

SETTINGS = {"trainable": "lora", "lr": 1e-2, "epochs": 2, "precision": "float32", "lora_rank": 4}
KINDS = ("blip", "clip", "siglip", "pair")

# peft asks transformers for an attribute that transformers renamed.
OF_PEFT = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.datasets import scenes

    monkeypatch.setattr(scenes, "SPLITS", {"train": 32, "val": 16, "test": 16})


def make(tiny: Callable[[str], str], kind: str, **params: Any) -> Trial:
    if kind == "pair":
        return make_model_trial(
            f"{tiny('vit')}+{tiny('bert')}", **SETTINGS | {"start": "random"} | params
        )
    return make_model_trial(tiny(kind), **SETTINGS | params)


def compute_stages(trial: Trial) -> dict[Any, Any]:
    return {
        stage: stage.function(**stage.args, **({"device": "cpu"} if stage.on_device else {}))
        for stage in TASK.stages(trial)
    }


def start(trial: Trial) -> tuple[State, dict[Any, Any]]:
    inputs = compute_stages(trial)
    return training.start(trial, inputs, "cpu"), inputs


def run(*trials: Trial) -> list[tuple[State, list[Step]]]:
    """Run trials of one model in a pack."""
    started = [start(trial) for trial in trials]
    inputs = started[0][1]
    states, steps = [state for state, _ in started], [list[Step]() for _ in trials]
    for _ in range(2):
        members = [Member(trial=t, state=s) for t, s in zip(trials, states, strict=True)]
        for number, result in enumerate(training.advance(members, inputs, "cpu")):
            assert not isinstance(result, Exception), result
            states[number] = result[0]
            steps[number].append(result[1])
    return list(zip(states, steps, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_all_adapters_in_use_are_trained(tiny: Callable[[str], str], kind: str) -> None:
    trial = make(tiny, kind)
    first, _ = start(trial)
    ((last, _),) = run(trial)
    names = [name for name in first.arrays if name.startswith("weight.")]
    adapters = [name for name in names if name.startswith("weight.lora.")]
    assert {name.split(".")[2] for name in adapters} == {"image", "text"}
    # BLIP's cross-attention and the poolers of text encoders have no effect on the embeddings.
    unused = ("weight.backbone.", "crossattention", "text.pooler")
    assert not any(word in name for name in names for word in unused)
    assert all(not torch.equal(first.arrays[name], last.arrays[name]) for name in adapters)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the stacks that were trained for an epoch without an error."""
    found: list[int] = []
    original = full.train_epoch

    def counted(stack: Any, device: str) -> Any:
        results = original(stack, device)
        found.append(len(stack))
        return results

    monkeypatch.setattr(full, "train_epoch", counted)
    return found


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("blip", {"itm_weight": 1.0, "rerank_k": 3}),
        ("clip", {"chunk_size": 5}),
        ("siglip", {"loss": "sigmoid", "learn_bias": True}),  # its heads cannot be stacked
        ("pair", {"gradient_checkpointing": True}),
        ("clip", {"precision": "bfloat16"}),  # a stack would round differently
    ],
)
def test_a_pack_gives_the_results_of_its_members_alone(
    tiny: Callable[[str], str], kind: str, params: dict[str, Any], sizes: list[int]
) -> None:
    given = {"augment": True, "batch_size": 8, "lr": 1e-3} | params
    trials = [
        make(tiny, kind, **given),
        make(tiny, kind, **given | {"lora_alpha": 2.0, "temperature": 0.5, "warmup_ratio": 0.2}),
        make(tiny, kind, **given | {"lr": 1e-2, "weight_decay": 0.1}),
    ]
    trials[2] = dataclasses.replace(trials[2], seed=7)
    assert len({TASK.pack_key(trial) for trial in trials}) == 1
    together = run(*trials)
    assert sizes == ([1] * 6 if params.get("precision") == "bfloat16" else [3, 3])
    for trial, (state, steps) in zip(trials, together, strict=True):
        ((alone, expected),) = run(trial)
        for step, one in zip(steps, expected, strict=True):
            assert step.metrics["loss"] == pytest.approx(one.metrics["loss"], rel=TASK.tolerance)
            ranks = [np.array(each.samples["rank"]) for each in (step, one)]  # type: ignore[index]
            assert (ranks[0] != ranks[1]).mean() <= 0.02
        # AdamW moves a weight without a gradient, such as the bias of keys, by what is rounded.
        found, one_by_one, first = (flat(each) for each in (state, alone, start(trial)[0]))
        assert (found - one_by_one).norm() < 1e-2 * (one_by_one - first).norm()


def flat(state: State) -> torch.Tensor:
    """All weights of a state in one row."""
    names = sorted(name for name in state.arrays if name.startswith("weight."))
    return torch.cat([state.arrays[name].flatten() for name in names])


def mixing_encoder() -> tuple[torch.nn.Module, Any]:
    """An image encoder whose first dimension is that of the pixels, not that of the batch."""

    class Mixing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 4)

        def forward(self, items: torch.Tensor) -> torch.Tensor:
            return self.layer(items.flatten(2).permute(2, 0, 1)).mean(0)

    def prepare(images: Any) -> torch.Tensor:
        pixels = [np.asarray(image.resize((8, 8)), dtype=np.float32) / 255 for image in images]
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)

    torch.manual_seed(0)
    return Mixing(), prepare


def test_encoders_that_mix_the_items_of_a_batch_are_trained_alone(
    tiny: Callable[[str], str], sizes: list[int], logged: list[str]
) -> None:
    model = f"{__name__}:mixing_encoder+{tiny('bert')}"
    trials = [
        make_model_trial(model, **SETTINGS | {"start": "random", "lr": lr}) for lr in (1e-2, 1e-3)
    ]
    together = run(*trials)
    assert sizes == [1, 1, 1, 1]
    assert any("each is trained alone" in message for message in logged)
    for trial, (_, steps) in zip(trials, together, strict=True):
        ((_, expected),) = run(trial)
        assert [step.metrics for step in steps] == [step.metrics for step in expected]


def padding_encoder() -> tuple[torch.nn.Module, Any]:
    """A text encoder that pads captions to the longest of a batch, and reads what is padded."""

    class Padding(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, items: torch.Tensor) -> torch.Tensor:
            return self.layer(items).tanh().mean(1)

    def prepare(captions: Any) -> torch.Tensor:
        letters = [
            torch.tensor([[ord(letter) / 2**n % 2 for n in range(4)] for letter in caption])
            for caption in captions
        ]
        return torch.nn.utils.rnn.pad_sequence(letters, batch_first=True)

    torch.manual_seed(0)
    return Padding(), prepare


def test_text_encoders_of_factories_are_trained_alone(
    tiny: Callable[[str], str], sizes: list[int]
) -> None:
    model = f"{tiny('vit')}+{__name__}:padding_encoder"
    given = SETTINGS | {"start": "random", "batch_size": 4}
    trials = [make_model_trial(model, **given | {"lr": lr}) for lr in (1e-2, 1e-3)]
    trials[1] = dataclasses.replace(trials[1], seed=7)  # with other captions
    together = run(*trials)
    assert sizes == [1, 1, 1, 1]
    for trial, (_, steps) in zip(trials, together, strict=True):
        ((_, expected),) = run(trial)
        assert [step.metrics for step in steps] == [step.metrics for step in expected]


def test_a_pack_has_one_copy_of_the_frozen_weights(tiny: Callable[[str], str]) -> None:
    trials = [make(tiny, "clip"), make(tiny, "clip", lr=1e-3)]
    members = [Member(trial=trial, state=start(trial)[0]) for trial in trials]
    weights = stack_part(members, "weight")
    stacked, alone = (
        network.build(some, own, "cpu")
        for some, own in (
            (trials, weights),
            (trials[:1], part_of(members[0].state, "weight")),
        )
    )
    for side in ("image", "text"):
        parameters = [
            dict(getattr(dual, side).tower.named_parameters()) for dual in (stacked, alone)
        ]
        assert all(parameters[1][name] is value for name, value in parameters[0].items())


@pytest.mark.parametrize(
    "params", [{"lora_rank": 2}, {"batch_size": 4}, {"max_tokens": 8}, {"itm_weight": 1.0}]
)
def test_adapters_of_other_shapes_are_in_other_packs(
    tiny: Callable[[str], str], params: dict[str, Any]
) -> None:
    assert TASK.pack_key(make(tiny, "blip")) != TASK.pack_key(make(tiny, "blip", **params))


def test_training_leaves_the_shared_model_as_it_is(tiny: Callable[[str], str]) -> None:
    full = make(tiny, "clip", trainable="full")
    before = network.initial_weights(full, "cpu")
    run(make(tiny, "clip"))
    run(full)
    after = network.initial_weights(full, "cpu")
    assert all(torch.equal(before[name], value) for name, value in after.items())


def test_targets_select_layers(tiny: Callable[[str], str]) -> None:
    state, _ = start(make(tiny, "clip", lora_targets="image[.].*(q_proj|v_proj)"))
    names = {name for name in state.arrays if name.startswith("weight.lora.")}
    assert len(names) == 2 * 2 * 2  # layers, projections, A and B
    assert all(".image." in name for name in names)
    with pytest.raises(ModelError, match="has no linear layer that matches 'q_proj'"):
        start(make(tiny, "clip", lora_targets="q_proj"))


def test_other_trials_have_no_parameters_of_lora(tiny: Callable[[str], str]) -> None:
    plain = make_model_trial(tiny("clip"))
    assert make_model_trial(tiny("clip"), lora_rank=3, lora_alpha=1.0).id == plain.id
    assert make_model_trial(tiny("clip"), trainable="lora", lora_rank=8).params == (
        make_model_trial(tiny("clip"), trainable="lora").params
    )


def embed(trial: Trial, state: State) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors of the test's images and captions by the trial's own network."""
    prefixes = ("weight.", "constant.")
    weights = {
        name.removeprefix(prefix): value
        for prefix in prefixes
        for name, value in state.arrays.items()
        if name.startswith(prefix)
    }
    dual = network.build([trial], weights, "cpu")
    with torch.no_grad():
        return (
            heads.project(weights, "image", dual.image(IMAGES)),
            heads.project(weights, "text", dual.text(CAPTIONS)),
        )


def embed_by_library(model: Any, kind: str, folder: str) -> tuple[torch.Tensor, torch.Tensor]:
    model.eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)(IMAGES, return_tensors="pt")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if kind == "siglip":
        options = {"padding": "max_length", "max_length": 16, "truncation": True}
        ids = {"input_ids": tokenizer(CAPTIONS, return_tensors="pt", **options)["input_ids"]}
    else:
        found = tokenizer(CAPTIONS, padding=True, return_tensors="pt")
        ids = {key: found[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        if kind == "blip":
            image = model.vision_proj(model.vision_model(**pixels)[0][:, 0])
            text = model.text_proj(model.text_encoder(**ids)[0][:, 0])
            return image / image.norm(dim=-1, keepdim=True), text / text.norm(dim=-1, keepdim=True)
        out = model(**ids, **pixels)
    return out.image_embeds, out.text_embeds


def load(kind: str, folder: str) -> Any:
    name = {"blip": "BlipForImageTextRetrieval", "clip": "CLIPModel", "siglip": "SiglipModel"}[kind]
    return getattr(transformers, name).from_pretrained(folder)


@pytest.mark.parametrize("kind", ["blip", "clip", "siglip"])
def test_the_exported_model_contains_the_adapters(
    tiny: Callable[[str], str], kind: str, tmp_path: Path
) -> None:
    trial = make(tiny, kind)
    ((state, _),) = run(trial)
    export(trial, TASK.weights(trial, state), tmp_path)
    merged = embed_by_library(load(kind, str(tmp_path)), kind, str(tmp_path))
    torch.testing.assert_close(merged, embed(trial, state), atol=1e-5, rtol=1e-4)
    base = embed_by_library(load(kind, tiny(kind)), kind, tiny(kind))
    assert not torch.allclose(base[0], merged[0], atol=1e-3)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 16.0)


@pytest.mark.parametrize("head", ["own", "mlp"])
@pytest.mark.parametrize("trainable", ["head", "lora", "full"])
def test_a_matching_head_is_exported_only_with_its_encoders(
    tiny: Callable[[str], str], trainable: str, head: str, tmp_path: Path
) -> None:
    own = {} if head == "own" else {"head": head, "start": "random"}
    trial = make(tiny, "blip", trainable=trainable, **own)
    state = training.start(trial, compute_stages(trial), "cpu")
    card = export(trial, TASK.weights(trial, state), tmp_path)
    folder = tmp_path if head == "own" else tmp_path / "model"
    model, loading = transformers.BlipForImageTextRetrieval.from_pretrained(
        folder, output_loading_info=True
    )
    assert model.itm_head.out_features == 2
    missing = set(loading["missing_keys"])
    assert not loading["unexpected_keys"]
    if trainable == "head":
        assert not missing
        families.check_matching(str(folder))
    else:
        assert missing == {"itm_head.weight", "itm_head.bias"}
        with pytest.raises(ModelError, match="has no weights of its matching head"):
            families.check_matching(str(folder))
    assert any("itm_head" in note for note in card.notes) is (trainable != "head")


@OF_PEFT
@pytest.mark.parametrize("kind", ["blip", "clip", "siglip"])
def test_peft_loads_the_adapters(tiny: Callable[[str], str], kind: str, tmp_path: Path) -> None:
    trial = make(tiny, kind, lora_alpha=6.0)
    ((state, _),) = run(trial)
    export(trial, TASK.weights(trial, state), tmp_path)
    model = peft.PeftModel.from_pretrained(load(kind, tiny(kind)), tmp_path / "adapter")
    found = embed_by_library(model.get_base_model(), kind, tiny(kind))
    torch.testing.assert_close(found, embed(trial, state), atol=1e-5, rtol=1e-4)


@OF_PEFT
def test_peft_loads_adapters_next_to_heads_of_another_width(
    tiny: Callable[[str], str], tmp_path: Path
) -> None:
    trial = make(tiny, "blip", head="linear", embed_dim=20, start="random")
    ((state, _),) = run(trial)
    card = export(trial, TASK.weights(trial, state), tmp_path)
    assert any(
        "without the trained `vision_proj` and `text_proj`" in note and "use those of this" in note
        for note in card.notes
    )
    model = peft.PeftModel.from_pretrained(load("blip", tiny("blip")), tmp_path / "adapter")
    base, merged = model.get_base_model(), load("blip", str(tmp_path))
    base.vision_proj, base.text_proj = merged.vision_proj, merged.text_proj
    found = embed_by_library(base, "blip", tiny("blip"))
    torch.testing.assert_close(found, embed(trial, state), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "params", "saved", "place"),
    [
        ("blip", {}, ["text_proj", "vision_proj"], ""),
        ("blip", {"head": "linear", "embed_dim": 24}, ["text_proj", "vision_proj"], ""),
        ("blip", {"head": "linear", "embed_dim": 20}, None, "use those of this model"),
        ("clip", {}, ["text_projection", "visual_projection"], ""),
        ("clip", {"head": "linear", "embed_dim": 24}, None, "use those of `heads.safetensors`"),
    ],
)
def test_an_adapter_has_only_heads_that_fit_the_base_model(
    tiny: Callable[[str], str],
    kind: str,
    params: dict[str, Any],
    saved: list[str] | None,
    place: str,
    tmp_path: Path,
) -> None:
    trial = make(tiny, kind, **params | ({"start": "random"} if params else {}))
    state, _ = start(trial)
    card = export(trial, TASK.weights(trial, state), tmp_path)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["modules_to_save"] == saved
    (note,) = (note for note in card.notes if "PeftModel" in note)
    assert place in note
    assert ("without the trained" in note) is (saved is None)


@OF_PEFT
def test_peft_loads_the_adapters_of_a_pair(tiny: Callable[[str], str], tmp_path: Path) -> None:
    trial = make(tiny, "pair")
    ((state, _),) = run(trial)
    export(trial, TASK.weights(trial, state), tmp_path)
    base = transformers.AutoModel.from_pretrained(tiny("bert"))
    model = peft.PeftModel.from_pretrained(base, tmp_path / "text" / "adapter").eval()
    merged = transformers.AutoModel.from_pretrained(tmp_path / "text").eval()
    ids = transformers.AutoTokenizer.from_pretrained(tiny("bert"))(
        CAPTIONS, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        found, expected = (each(**ids).last_hidden_state for each in (model, merged))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
