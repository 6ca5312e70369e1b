"""Measure this pipeline beside its alternatives: `python -m benchmarks`."""
