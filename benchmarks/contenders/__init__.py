"""The programs that are measured, each a process of its own; see the sections that start them."""
