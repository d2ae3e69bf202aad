"""Checks what this machine and a cluster can run."""
