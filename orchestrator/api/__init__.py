"""Sweeps from Python, for scripts and notebooks that ``import orchestrator as orc``."""
