"""Scores of captions are the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys

from paths import ROOT

PROGRAM = """
from tasks.captioning.scores import CiderD, rouge_l
from tasks.datasets.scenes import load_split

texts = load_split("val", "pretrain").captions[:100]
captions = [each[0] for each in texts]
references = [each[1:] for each in texts]
print(CiderD(references)(captions).tolist(), rouge_l(captions, references).tolist())
"""


def test_scores_do_not_depend_on_the_hashes_of_the_process() -> None:
    found = set()
    for seed in range(4):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)}
        made = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(made.stdout)
    assert len(found) == 1
