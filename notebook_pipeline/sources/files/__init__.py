"""Bulk files: locate, download, detect the format, yield batches."""
