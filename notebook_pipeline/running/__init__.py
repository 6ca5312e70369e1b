"""Running one notebook: its plan, its kernel, its artefact and its row in the ledger."""
