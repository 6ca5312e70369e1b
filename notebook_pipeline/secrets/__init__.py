"""Secrets: what counts as one, and how they are kept out of notebooks, logs and child processes."""
