"""Measurements of this pipeline and its alternatives: `python -m benchmarks`."""
