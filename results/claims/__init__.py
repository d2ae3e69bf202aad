"""Tests of a paper's claims against measured results."""
