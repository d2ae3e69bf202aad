"""Test a paper's claims on measured results."""
