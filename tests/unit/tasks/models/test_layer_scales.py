"""Learning rates of an encoder's layers."""

from __future__ import annotations

from tasks.models.layer_scales import layer_scales


def test_lower_layers_learn_more_slowly() -> None:
    names = [
        "backbone.embeddings.class_embedding",
        "backbone.pre_layrnorm.weight",
        "backbone.encoder.layers.0.mlp.fc1.weight",
        "backbone.encoder.layers.1.mlp.fc1.weight",
        "backbone.encoder.layers.10.mlp.fc1.weight",
        "backbone.post_layernorm.weight",
    ]
    scales = list(layer_scales(names, 0.5).values())
    assert scales == [0.5**12, 0.5**12, 0.5**11, 0.5**10, 0.5, 1.0]


def test_the_first_number_is_that_of_the_stage() -> None:
    names = ["0.1.weight", "1.0.weight", "1.7.weight"]
    assert list(layer_scales(names, 0.1).values()) == [0.1**2, 0.1, 0.1]


def test_an_encoder_without_numbered_layers_has_one_rate() -> None:
    assert layer_scales(["weight", "bias"], 0.5) == {"weight": 1.0, "bias": 1.0}
