"""Implements the commands that read sweeps: report, check and show."""
