"""The programs that are measured, each in a separate process, started by the sections."""
