"""Steps and trials of the captioning task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from captioning_packs import make_inputs, make_trial, run_steps
from tiny_captioners import save_captioner

from tasks.assets.recipe import SHIPPED
from tasks.captioning import captioning, stages
from tasks.captioning.captioning import to_text
from tasks.captioning.decoding import LAB_BATCH
from tasks.captioning.params import FILTER_NAMES
from tasks.captioning.rungs import decoding_config, rungs
from tasks.captioning.task import TASK
from tasks.contract import Member, RequestError
from tasks.models import captioner_families
from tasks.models.loading import load_preprocessor


def test_rungs_are_multiples_of_the_lab_batch() -> None:
    for number in (1, 15, 16, 100, 1449, 5000):
        found = rungs(number)
        assert found == sorted(set(found))
        assert found[-1] == number
        assert all(n % LAB_BATCH == 0 for n in found[:-1])
    assert rungs(1449) == [80, 176, 352, 720, 1449]


def test_unused_decoding_parameters_do_not_change_the_trial() -> None:
    greedy = {make_trial(decoding="greedy", **more).id for more in ({}, {"temperature": 0.2})}
    assert len(greedy) == 1
    resolved = make_trial(decoding="greedy").params
    assert (resolved.top_k, resolved.temperature, resolved.num_beams) == (None, None, None)
    assert make_trial(decoding="beam").params.num_beams == 4


def test_memory_grows_with_samples_and_beams() -> None:
    one = TASK.estimate_memory(make_trial())
    assert TASK.estimate_memory(make_trial(decoding="greedy")) == one
    assert TASK.estimate_memory(make_trial(num_samples=5)) == 5 * one
    assert TASK.estimate_memory(make_trial(decoding="beam", num_beams=3)) == 3 * one


def test_filters_reach_the_decoding() -> None:
    limits = {name: 0.1 * number for number, name in enumerate(FILTER_NAMES, start=1)}
    config = decoding_config(make_trial(**limits))
    assert {name: getattr(config, name) for name in FILTER_NAMES} == limits


def test_too_long_prompt_fails_only_its_trial() -> None:
    short = make_trial(prompt="a picture of a red circle left of a", max_length=8, min_length=0)
    inputs = make_inputs(short)
    good = make_trial(prompt="")
    members = [Member(trial=t, state=TASK.start(t, inputs, "cpu")) for t in (short, good)]
    first, second = TASK.advance(members, inputs, "cpu")
    assert isinstance(first, Exception)
    assert "max_length > tokens of start and prompt" in str(first)
    assert not isinstance(second, Exception)


def test_a_model_without_a_text_decoder_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in SHIPPED.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    kept = {k: v for k, v in weights.items() if not k.startswith("text_decoder.")}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(RequestError, match="no weights for a text decoder"):
        TASK.resolve(str(tmp_path), "scenes")


def test_a_prompt_from_a_file_is_the_text_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("a photo of \n")
    trial = make_trial(prompt=f"@{tmp_path / 'prompt.txt'}")
    assert trial.params.prompt == "a photo of "
    assert trial.id == make_trial(prompt="a photo of ").id
    assert TASK.normalize(trial) == trial


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b"\xff", "not UTF-8"), (b"@x", "starts with '@'")],
)
def test_a_bad_prompt_file_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "prompt.txt").write_bytes(content)
    with pytest.raises(RequestError, match=message):
        make_trial(prompt=f"@{tmp_path / 'prompt.txt'}")


@pytest.mark.parametrize(
    ("family", "precision", "num_stages"),
    [
        ("git", "float32", 1),
        ("florence2", "bfloat16", 1),
        ("qwen3_vl", "float32", 1),
        ("llava", "float32", 0),
    ],
)
def test_trials_of_another_family_run_in_packs(
    family: str, precision: str, num_stages: int, tmp_path: Path
) -> None:
    folder = save_captioner(family, tmp_path)
    settings: list[dict[str, Any]] = [
        {"decoding": "greedy"},
        {"temperature": 1.0},
        {"decoding": "beam", "num_beams": 2},
    ]
    common: dict[str, Any] = {"model_name": str(folder), "num_images": 20, "min_length": 0}
    common["precision"] = precision
    pack = [make_trial(**common, max_length=6, **setting) for setting in settings]
    assert len(TASK.stages(pack[0])) == num_stages
    together = run_steps(pack)
    for trial, steps in zip(pack, together, strict=True):
        (alone,) = run_steps([trial])
        assert [step.at for step in steps] == [16, 20]
        assert steps[-1].samples == alone[-1].samples
        assert steps[-1].metrics == alone[-1].metrics


@pytest.mark.parametrize("family", ["git", "qwen3_vl"])
def test_the_size_of_stages_changes_nothing(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_captioner(family, tmp_path)
    trial = make_trial(
        model_name=str(folder), num_images=20, min_length=0, max_length=6, decoding="greedy"
    )
    ((*_, whole),) = run_steps([trial])
    monkeypatch.setattr(stages, "CHUNK", 7)
    assert len(TASK.stages(trial)) == 3
    ((*_, parts),) = run_steps([trial])
    assert parts.samples == whole.samples


def test_lab_mistakes_are_refused_for_another_family(tmp_path: Path) -> None:
    folder = save_captioner("git", tmp_path)
    with pytest.raises(RequestError, match="faithful=true repeats the mistakes"):
        make_trial(model_name=str(folder), faithful=True)


def test_further_samples_change_no_other_score() -> None:
    common = {"num_images": 20, "temperature": 1.2}
    ((*_, one),) = run_steps([make_trial(**common)])
    ((*_, several),) = run_steps([make_trial(**common, num_samples=3)])
    assert several.samples == one.samples
    assert several.metrics == {**one.metrics, "self_bleu4": several.metrics["self_bleu4"]}
    assert 0 < several.metrics["self_bleu4"] < 100
    ((*_, alike),) = run_steps([make_trial(**common, num_samples=2, top_k=1)])
    assert alike.metrics["self_bleu4"] == pytest.approx(100)


def test_each_sample_is_decoded_to_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []

    def spy(ids: Any, *rest: Any) -> list[str]:
        decoded.append(len(ids))
        return to_text(ids, *rest)

    monkeypatch.setattr(captioning, "to_text", spy)
    run_steps([make_trial(num_images=20, num_samples=3)])
    # The new images of both steps for BLEU, then all images of each sample.
    assert decoded == [16, 4, 20, 20, 20]


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_processor_without_its_package_is_refused_before_anything_runs(
    is_installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_captioner("smolvlm", tmp_path)
    needed = ("torch",) if is_installed else ("transformers>=999", "not_installed")
    monkeypatch.setattr(captioner_families, "REQUIREMENTS", {"smolvlm": needed})
    if is_installed:
        TASK.resolve(str(folder), "scenes")
    else:
        message = (
            "which needs transformers>=999 and not_installed; run `pip install "
            "'transformers>=999' not_installed`"
        )
        with pytest.raises(RequestError, match=message):
            TASK.resolve(str(folder), "scenes")


def test_an_error_names_the_package_that_a_processor_needs() -> None:
    class Loader:
        @staticmethod
        def from_pretrained(folder: Path, **options: Any) -> None:
            raise ImportError("Package `a_b` is required. Install it with `pip install a_b`.")

    with pytest.raises(RequestError, match=r"not installed; run `pip install a_b`$"):
        load_preprocessor(str(SHIPPED), "processor", Loader)
