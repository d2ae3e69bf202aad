"""SPICE of captions (Anderson et al. 2016), by the program of pycocoevalcap.

U images, each with a caption and one or more references
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.captioning.java import find_java, find_package, run_java
from tasks.contract import RequestError, TrialError

Array = np.ndarray[Any, Any]
DEFAULT = "default"  # the folder into which pycocoevalcap downloads the jars
JARS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
_SOURCE = "stanford-corenlp-full-2015-12-09.zip"


def resolve_spice(folder: str) -> str:
    """Return the absolute path of the folder of the jars, as workers run in other folders."""
    return folder if folder == DEFAULT else os.path.abspath(os.path.expanduser(folder))


def check_spice(folder: str) -> Path:
    """Return the folder of the jars of Stanford CoreNLP.

    Raises:
        RequestError: if Java, pycocoevalcap or a jar is missing.
    """
    option = f"spice={folder}"
    find_java(option)
    package = find_package(option)
    found = package / "spice" / "lib" if folder == DEFAULT else Path(resolve_spice(folder))
    missing = [jar for jar in JARS if not (found / jar).is_file()]
    if missing:
        raise RequestError(
            f"{option} needs {' and '.join(missing)} in {found}; copy them from {_SOURCE} of "
            "Stanford CoreNLP, or name their folder with spice=DIR"
        )
    return found


def spice_scores(
    captions: Sequence[str], references: Sequence[Sequence[str]], folder: str
) -> Array:
    """Return SPICE [U] in 0..1 of tokenized captions; one process parses them all.

    Raises:
        TrialError: if the program fails.
    """
    jars, option = check_spice(folder), f"spice={folder}"
    program = find_package(option) / "spice"
    given = [
        {"image_id": number, "test": caption, "refs": list(texts)}
        for number, (caption, texts) in enumerate(zip(captions, references, strict=True))
    ]
    path = ":".join(map(str, (program / "spice-1.0.jar", program / "lib" / "*", jars / "*")))
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "captions.json", Path(name) / "scores.json"
        source.write_text(json.dumps(given))
        arguments = ["-Xmx8G", "-cp", path, "edu.anu.spice.SpiceScorer", str(source)]
        run_java(option, [*arguments, "-out", str(target), "-silent"])
        try:
            items = json.loads(target.read_text())
            found = {item["image_id"]: item["scores"]["All"]["f"] for item in items}
            return np.array([float(found[n] or 0) for n in range(len(captions))])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrialError(
                f"{option}: SPICE wrote no scores ({type(error).__name__}: {error}); remove "
                f"{option} to score without it"
            ) from None
