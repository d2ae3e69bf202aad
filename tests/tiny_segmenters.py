"""Semantic segmentation checkpoints with random weights, small enough for a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.mask2former.image_processing_pil_mask2former import (
    Mask2FormerImageProcessorPil,
)


def _segformer() -> Any:
    return transformers.SegformerForSemanticSegmentation(
        transformers.SegformerConfig(
            hidden_sizes=[8, 16, 16, 24],
            depths=[1, 1, 1, 1],
            num_attention_heads=[1, 2, 2, 2],
            decoder_hidden_size=16,
            num_labels=5,
        )
    )


def _upernet() -> Any:
    backbone = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 24],
        depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return transformers.UperNetForSemanticSegmentation(
        transformers.UperNetConfig(
            backbone_config=backbone, hidden_size=16, use_auxiliary_head=False, num_labels=5
        )
    )


def _dpt() -> Any:
    return transformers.DPTForSemanticSegmentation(
        transformers.DPTConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=4,
            num_attention_heads=2,
            image_size=64,
            patch_size=16,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[8, 8, 16, 16],
            fusion_hidden_size=16,
            use_auxiliary_head=False,
            num_labels=5,
        )
    )


def _mobilenet() -> Any:
    return transformers.MobileNetV2ForSemanticSegmentation(
        transformers.MobileNetV2Config(depth_multiplier=0.25, num_labels=5)
    )


def _mask2former() -> Any:
    backbone = transformers.SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return transformers.Mask2FormerForUniversalSegmentation(
        transformers.Mask2FormerConfig(
            backbone_config=backbone,
            feature_size=32,
            mask_feature_size=32,
            hidden_dim=32,
            encoder_feedforward_dim=24,
            encoder_layers=1,
            decoder_layers=2,
            num_attention_heads=2,
            dim_feedforward=24,
            num_queries=12,
            train_num_points=64,
            num_labels=5,
        )
    )


SEGMENTERS: dict[str, Callable[[], Any]] = {
    "segformer": _segformer,
    "upernet": _upernet,
    "dpt": _dpt,
    "mobilenet_v2": _mobilenet,
    "mask2former": _mask2former,
}


def save_segmenter(kind: str, folder: Path) -> Path:
    """Save a checkpoint of five classes with the image processor of its family.

    The processors of DPT and MobileNetV2 keep the aspect ratio or crop, unlike a trial.
    """
    torch.manual_seed(0)
    SEGMENTERS[kind]().save_pretrained(folder)
    processors = {
        "dpt": lambda: transformers.DPTImageProcessor(
            keep_aspect_ratio=True, ensure_multiple_of=32
        ),
        "mobilenet_v2": transformers.MobileNetV2ImageProcessor,
        "mask2former": Mask2FormerImageProcessorPil,
    }
    processor = processors.get(kind, transformers.SegformerImageProcessor)()
    processor.save_pretrained(folder)
    return folder
