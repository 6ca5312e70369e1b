"""Read bulk files: where they are, what they are, and their rows in batches."""
