"""Runs the programs of exported model cards in a process that cannot import this project.

Started as ``python -I exported.py``. Each line of stdin is a request: ``folder``, ``given``, and
``paths`` to add to the path. The answer is a line with ``result`` or ``error``. The given values
replace the inputs of the program, and the result is measured on what it ends with.
"""

import json
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any


def main() -> None:
    replies, sys.stdout = sys.stdout, sys.stderr  # programs print
    modules, path = set(sys.modules), list(sys.path)
    for line in sys.stdin:
        request = json.loads(line)
        folder = request["folder"]
        os.chdir(folder)
        sys.path[:] = [folder, *request["paths"], *path]
        try:
            reply = {"result": run(Path(folder), request["given"])}
        except Exception:
            reply = {"error": traceback.format_exc()}
        for name in set(sys.modules) - modules:  # each program has a load.py of its own
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
                del sys.modules[name]
        print(json.dumps(reply), file=replies, flush=True)


def run(folder: Path, given: dict[str, Any]) -> object:
    text = (folder / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```", text, re.S | re.M)
    assert found, "the README has no program"
    program = found[1]
    scope: dict[str, Any] = {"GIVEN": given}
    if "images" in given:
        from PIL import Image

        scope["IMAGES"] = [Image.open(path).convert("RGB") for path in given["images"]]
    for name in ("images", "captions", "descriptions"):
        if name in given:
            value = "IMAGES" if name == "images" else f"GIVEN[{name!r}]"
            program, number = re.subn(rf"^{name} = .*$", f"{name} = {value}", program, flags=re.M)
            assert number == 1, f"the program sets no {name}"
    program = program.replace("seed=0, num_images=1", "**GIVEN['options']")
    exec(compile(program, "README.md", "exec"), scope)
    ours = {"orchestrator", "tasks", "results", "search_spaces"}
    assert not ours & {name.split(".")[0] for name in sys.modules}
    return measure(given, scope)


def measure(given: dict[str, Any], scope: dict[str, Any]) -> object:
    if "owner" in given:
        return recalls(given, scope["scores"])
    if "references" in given:
        import sacrebleu

        streams = list(map(list, zip(*given["references"], strict=True)))
        score = sacrebleu.corpus_bleu(scope["captions"], streams).score
        return {"captions": scope["captions"], "bleu4_13a": score}
    if "descriptions" in given:
        import numpy as np

        return np.stack([np.asarray(image) for image in scope["images"]]).tolist()
    return {}


def recalls(given: dict[str, Any], scores: Any) -> dict[str, float]:
    """R@1 in both directions. Among tied candidates, the share of correct ones counts."""
    import numpy as np

    scores = scores.double().numpy()
    row, owner = np.array(given["row"]), np.array(given["owner"])
    per_caption = scores[:, row]  # [images, captions]
    right = owner[None] == np.arange(len(scores))[:, None]

    def top(values: Any, correct: Any) -> float:
        best = values == values.max(axis=1, keepdims=True)
        return float(((best & correct).sum(1) / best.sum(1)).mean())

    return {"i2t_r1": top(per_caption, right), "t2i_r1": top(per_caption.T, right.T)}


if __name__ == "__main__":
    main()
