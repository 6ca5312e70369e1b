"""Read the ledger and the artefacts, never write them: rows, pages, differences, where a row comes from."""
