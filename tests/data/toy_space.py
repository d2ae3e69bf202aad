"""The space of the sweep in ``tests/data/sweeps``, on which CI runs `check`.

    cd tests/data && python -m orchestrator sweep toy --space toy_space.py --name stored \
        --engine local --seeds 3 --out sweeps
"""

from search_spaces.space import Claim, Erratum, Published, Row, Table


def _row(degree: int, number: float) -> Row:
    return Row(params={"degree": degree}, report={"metric.error": number})


LINE, CUBIC, FIFTH = _row(1, 0.17), _row(3, 0.011), _row(5, 0.018)
AGAIN = _row(3, 0.012)
FOURTH = _row(4, 0.011)

REPORT = (
    Table(title="Degrees", rows=(LINE, CUBIC, FIFTH)),
    Table(title="Even degrees", rows=(AGAIN, FOURTH)),
)
CLAIMS = (
    Claim("a cubic fits the sine better than a line", CUBIC, "<", LINE),
    Claim("an even degree adds nothing: 4 is as good as 3", FOURTH, "==", CUBIC, margin=0.002),
    Claim("degree 4 is better than degree 3", FOURTH, "<", CUBIC),
)
PUBLISHED = Published(
    model="polynomial", data="sine", standard_error=0.001, noise="two runs of one configuration"
)
ERRATA = (Erratum(text="The text names the line the best row", best=LINE),)
