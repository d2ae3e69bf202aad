"""Exports models, and archives, replays and verifies sweeps."""
