"""Decoding settings of a captioning model: the paper's section 2.1, tables 1 and 2.

One configuration is in the paper three times, with the same number. The paper's text names top-k 50
as the best row, but in its table greedy is better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.space import Claim, Erratum, Published, Row, Scalar, Table

if TYPE_CHECKING:
    import optuna

PROTOCOL: dict[str, Scalar] = {"min_length": 10, "max_length": 30, "num_references": 1}
PICTURE, THIS_IS = "a picture of ", "This is a "
DEPICTS = "This image depicts  "  # with two spaces, as in the lab


def _row(
    report: float, top_k: int | None = 50, temperature: float | None = 0.7, prompt: str = PICTURE
) -> Row:
    decoding = "greedy" if temperature is None else "sample"
    return Row(
        params={
            **PROTOCOL,
            "decoding": decoding,
            "top_k": top_k,
            "temperature": temperature,
            "prompt": prompt,
        },
        report={"metric.bleu4": report},
    )


TOP_50, HOT, GREEDY = _row(12.90), _row(6.56, temperature=1.0), _row(27.95, None, None)
HOT_100, TOP_100 = _row(6.31, top_k=100, temperature=1.0), _row(12.59, top_k=100)
OTHER_PROMPTS = _row(9.09, prompt=THIS_IS), _row(9.69, prompt=DEPICTS)

REPORT = (
    Table(
        title="Table 1: prompts (paper, section 2.1)",
        rows=(TOP_50, *OTHER_PROMPTS),
    ),
    Table(
        title="Table 2: top-k and temperature (paper, section 2.1)",
        rows=(
            TOP_50,
            HOT,
            _row(12.88, top_k=10),
            _row(12.68, top_k=70),
            TOP_100,
            HOT_100,
            GREEDY,
        ),
    ),
)

CLAIMS = (
    Claim("temperature 1.0 is worse than 0.7 at top-k 50", HOT, "<", TOP_50),
    Claim("temperature 1.0 is worse than 0.7 at top-k 100", HOT_100, "<", TOP_100),
    *(
        Claim(f"{PICTURE!r} is a better prompt than {row.params['prompt']!r}", TOP_50, ">", row)
        for row in OTHER_PROMPTS
    ),
)
PUBLISHED = Published(
    paper="a deep-learning lab report, section 2.1",
    model="BLIP ViT-B (CapFilt-L)",
    data="the 1449 images of VOC2012 segmentation val, one reference each",
    standard_error=0.75,
    noise="the bootstrap standard error of corpus BLEU-4 of the lab's 1449 greedy captions",
)
ERRATA = (
    Erratum(text="The text names top-k 50 the best row", best=TOP_50),
    Erratum(
        text="One configuration appears in three places and was run three times, 17 minutes each",
        repeated=TOP_50,
    ),
)

GRID = (
    {"num_references": [1], "decoding": ["greedy"], "prompt": [PICTURE, THIS_IS, DEPICTS]},
    {
        "num_references": [1],
        "decoding": ["sample"],
        "top_k": [10, 50, 70, 100],
        "temperature": [0.7, 1.0],
        "prompt": [PICTURE, THIS_IS, DEPICTS],
    },
)


def search(trial: optuna.Trial) -> dict[str, Scalar]:
    """Suggest a kind of decoding and the parameters that it uses."""
    decoding = trial.suggest_categorical("decoding", ["greedy", "sample", "beam"])
    values: dict[str, Scalar] = {
        "decoding": decoding,
        "prompt": trial.suggest_categorical("prompt", ["", PICTURE, THIS_IS, DEPICTS]),
        "min_length": trial.suggest_int("min_length", 0, 12),
        "max_length": trial.suggest_int("max_length", 16, 40),
        "repetition_penalty": trial.suggest_float("repetition_penalty", 1.0, 1.5),
    }
    if decoding == "sample":
        values["temperature"] = trial.suggest_float("temperature", 0.1, 1.5)
        values["top_k"] = trial.suggest_int("top_k", 1, 100, log=True)
        values["top_p"] = trial.suggest_float("top_p", 0.5, 1.0)
    elif decoding == "beam":
        values["num_beams"] = trial.suggest_int("num_beams", 2, 6)
    return values
