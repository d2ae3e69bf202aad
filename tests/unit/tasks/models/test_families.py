"""Weights that a model folder must have."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_checkpoint_without_heads_is_refused(tmp_path: Path) -> None:
    from transformers import BlipConfig, BlipForConditionalGeneration

    from tasks.contract import ModelError
    from tasks.models.families import check_weights

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = BlipConfig(
        text_config=small | {"num_attention_heads": 2, "vocab_size": 40},
        vision_config=small | {"num_attention_heads": 2, "image_size": 16, "patch_size": 8},
    )
    BlipForConditionalGeneration(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no weights for its text_encoder"):
        check_weights(str(tmp_path), heads=False)
