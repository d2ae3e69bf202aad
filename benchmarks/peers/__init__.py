"""The other side of the benchmarks, written as in the documentation of each library."""
