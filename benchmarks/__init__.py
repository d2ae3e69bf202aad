"""Benchmarks that anyone can run: ``python -m benchmarks NAME``. README.md has their results."""
