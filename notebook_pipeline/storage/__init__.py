"""The analytics database: its tables, the merge rule, deletions, and the ledger of runs."""
