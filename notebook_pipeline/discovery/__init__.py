"""What files and APIs show of themselves, written down as the first draft of a declaration."""
