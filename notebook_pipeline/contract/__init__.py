"""Turn received batches into rows of the declared types, and rejected rows with reasons."""
