"""Compare two sweeps, or two runs of one sweep."""
