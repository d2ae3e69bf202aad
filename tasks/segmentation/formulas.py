"""How per-image counts form the metrics of a whole set, as formulas for ``PerSampleMetric``.

A sample holds [a0, b0, a1, b1, ...], such as the intersection and the union of each class.
"""

#: The mean of a / b over the classes whose b is not 0.
MEAN_RATIO = "sum(sums[0::2] / max(sums[1::2], 1)) / max(1, sum(min(sums[1::2], 1)))"
RATIO = "sums[0] / max(sums[1], 1)"
