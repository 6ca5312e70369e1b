"""Read bulk files: locate, download, detect the format, yield batches."""
