"""Run one notebook: kernel, artefact, and what surrounds them."""
