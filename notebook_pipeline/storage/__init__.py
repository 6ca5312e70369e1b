"""Keep rows in the analytics database: tables, staging, the merge rule, deletions."""
