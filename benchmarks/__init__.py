"""Measurements that anyone can run: ``python -m benchmarks NAME``. Their results: README.md."""
