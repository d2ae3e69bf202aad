"""Two sweeps, or two runs of one sweep, next to each other."""
