"""Suggestions for misspelled parameters."""

from __future__ import annotations

import dataclasses

from orchestrator.planning import discovery
from orchestrator.planning.suggestions import SYNONYMS, normalize_name, similar_parameters


def test_synonyms_name_existing_parameters() -> None:
    tasks = [discovery.load_task(name) for name in ("retrieval", "captioning", "diffusion")]
    known = {field.name for task in tasks for field in dataclasses.fields(task.Params)}
    for word, meant in SYNONYMS.items():
        assert word == normalize_name(word)
        assert set(meant) & known, word
        assert similar_parameters(word, known)
