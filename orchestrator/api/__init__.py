"""Sweeps from Python: what ``import orchestrator as orc`` offers for scripts and notebooks."""
