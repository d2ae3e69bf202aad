"""The other side of the benchmarks, each written as its own documentation teaches it."""
