"""Read-only views of the ledger and the artefacts: runs, pages, differences, the origin of a row."""
