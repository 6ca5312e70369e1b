"""The sample's data and API, and what the make targets run; not in the wheel."""
