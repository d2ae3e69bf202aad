"""The captioning task. Methods that need torch import it themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tasks.captioning import clip_score, java_scores, scores, stages
from tasks.captioning.meteor import METEOR
from tasks.captioning.params import Params
from tasks.captioning.prompt_file import read_prompt
from tasks.contract import (
    Advanced,
    Column,
    Export,
    Inputs,
    Member,
    Metric,
    PerSampleMetric,
    RequestError,
    Source,
    Stage,
    State,
    Task,
    Trial,
)
from tasks.datasets import registry
from tasks.models import folders
from tasks.models.captioner_families import BLIP, find_captioner_family

#: Corpus BLEU-4 without smoothing, from sums of the statistics of ``scores.BleuStatistics``.
BLEU4 = "100 * exp(mean(log(sums[0:4] / sums[4:8])) + min(0, 1 - sums[9] / sums[8]))"


class CaptioningTask(Task):
    """Caption images with different decoding settings and score them against human captions."""

    name = "captioning"
    version = "2"  # 2: decoded text has no spaces around apostrophes; Unicode words
    Params = Params
    metric = Metric(name="bleu4", label="BLEU-4", direction="maximize")
    other_metrics = (
        Metric(name="cider_d", label="CIDEr-D", direction="maximize"),
        Metric(name="rouge_l", label="ROUGE-L", direction="maximize"),
        Metric(name="bleu4_13a", label="BLEU-4 13a", direction="maximize"),
        Metric(name="distinct2", label="distinct-2", direction="maximize"),
        Metric(name="self_bleu4", label="self-BLEU-4", direction="minimize"),
        Metric(name="clip_score", label="CLIPScore", direction="maximize"),
        Metric(name="ref_clip_score", label="RefCLIPScore", direction="maximize"),
        Metric(name="meteor", label="METEOR", direction="maximize"),
        Metric(name="spice", label="SPICE", direction="maximize"),
    )
    metric_params = MappingProxyType(
        {
            "self_bleu4": "num_samples",
            "clip_score": "clip",
            "ref_clip_score": "clip",
            "meteor": "meteor",
            "spice": "spice",
        }
    )
    columns = (
        Column(key="param.decoding", label="decoding"),
        Column(key="param.top_k", label="top-k", format="integer"),
        Column(key="param.temperature", label="temperature", format="number"),
        Column(key="param.prompt", label="prompt"),
        Column(key="metric.bleu4", label="BLEU-4", format="score"),
        Column(key="metric.distinct2", label="distinct-2", format="percent"),
        Column(key="metric.cider_d", label="CIDEr-D", format="score"),
        Column(key="metric.rouge_l", label="ROUGE-L", format="percent"),
        Column(key="metric.length", label="length words", format="number"),
        Column(key="metric.unique", label="unique", format="percent"),
        Column(key="metric.novel", label="novel", format="percent"),
        Column(key="metric.vocabulary", label="vocabulary", format="integer"),
        Column(key="metric.bleu4_13a", label="BLEU-4 13a", format="score"),
        Column(key="metric.distinct1", label="distinct-1", format="percent"),
        Column(key="metric.self_bleu4", label="self-BLEU-4", format="score"),
        Column(key="metric.clip_score", label="CLIPScore", format="number"),
        Column(key="metric.ref_clip_score", label="RefCLIPScore", format="number"),
        Column(key="metric.meteor", label="METEOR", format="percent"),
        Column(key="metric.spice", label="SPICE", format="percent"),
    )
    per_sample = (
        PerSampleMetric(metric="bleu4", unit="image", value="bleu_statistics", aggregate=BLEU4),
        PerSampleMetric(metric="rouge_l", unit="image", value="rouge_l"),
        PerSampleMetric(metric="cider_d", unit="image", value="cider_d"),
        PerSampleMetric(metric="clip_score", unit="image", value="clip_score"),
        PerSampleMetric(metric="ref_clip_score", unit="image", value="ref_clip_score"),
        PerSampleMetric(metric="meteor", unit="image", value="meteor_statistics", aggregate=METEOR),
        PerSampleMetric(metric="spice", unit="image", value="spice"),
    )
    pareto_front = ("bleu4", "distinct2")
    scoring_params = ("num_images", "num_references", "split")
    step_unit = "images"
    example_params = (
        {"num_images": 40},
        {"num_images": 40, "decoding": "greedy"},
        {"num_images": 40, "decoding": "beam"},
    )
    shown_samples = ("cider_d", "caption", "references")
    has_weights = False  # decoding trains nothing
    default_model = folders.SHIPPED
    default_data = "scenes"
    model_forms = (
        "a Hugging Face id or a folder (safetensors) of an image-to-text model: BLIP, or any other "
        "that AutoModelForImageTextToText loads"
    )
    data_forms = registry.FORMS

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Check a captioning model and a captioned data set, and return their fingerprints."""
        from tasks.models.captioner_families import check_captioner

        check_captioner(model)
        return folders.resolve(model), registry.resolve(data)

    def warnings(self, model: Source, data: Source) -> list[str]:
        """Return a warning if the shipped model is used on photos."""
        return registry.domain_warnings(model, data)

    def normalize(self, trial: Trial) -> Trial:
        """Set unused parameters to None, read a prompt's file, and check models and ``faithful``.

        ``num_images`` is unused if it covers the split.
        """
        split = registry.load_split(trial.data.name, trial.params.split)
        params = java_scores.check_java(trial.params.resolved())
        clip = None if params.clip is None else clip_score.resolve_clip(params.clip)
        params = dataclasses.replace(params, prompt=read_prompt(params.prompt), clip=clip)
        if params.faithful and find_captioner_family(trial.model) != BLIP:
            raise RequestError(
                "faithful=true repeats the mistakes of a lab that used BLIP, but "
                f"{trial.model.name} is another model; remove it"
            )
        if params.num_images is not None and params.num_images >= len(split):
            params = dataclasses.replace(params, num_images=None)
        return dataclasses.replace(trial, params=params)

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Return the stages that encode the images in chunks, and that of CLIPScore."""
        clip = clip_score.clip_stage(trial)
        return [*stages.needed(trial), *([] if clip is None else [clip])]

    def pack_key(self, trial: Trial) -> Hashable:
        """Return one key for trials with the same images and prompt, which are decoded together."""
        params: Params = trial.params
        return (trial.model, trial.data, params.precision, params.split, params.prompt)

    def estimate_memory(self, trial: Trial) -> int:
        """Estimate the memory of a member's attention caches, for each sample or beam."""
        params: Params = trial.params
        is_blip = find_captioner_family(trial.model) == BLIP
        num_rows = params.num_samples or params.num_beams or 1  # per image
        return num_rows * (64 if is_blip else 256) * 1024 * 1024

    def num_steps(self, trial: Trial) -> int:
        """Return the number of images."""
        return stages.num_images(trial)

    def signatures(self) -> Mapping[str, str]:
        """Return sacrebleu's signatures of the BLEU scores."""
        return scores.signatures()

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Return the state before the first image."""
        from tasks.captioning import captioning

        return captioning.start()

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """Caption the next rung of images for every member."""
        from tasks.captioning import captioning

        return captioning.advance(pack, inputs, device)

    def final(self, trial: Trial, split: str) -> Trial:
        """Return the trial with the same decoding on another split."""
        registry.check_final(trial.data.name, split, chosen_on=trial.params.split)
        return dataclasses.replace(trial, params=dataclasses.replace(trial.params, split=split))

    def load_image(self, trial: Trial, image_id: str) -> Any:
        """Return an image of the split that the trial captions."""
        return registry.load_image(trial.data.name, trial.params.split, image_id)

    def export(
        self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any], folder: Path
    ) -> Export:
        """Export the model with the decoding as its ``generation_config.json``."""
        from tasks.captioning import export

        return export.export(trial, folder)


TASK = CaptioningTask()
