"""What a notebook's cells call: open, load, session, progress, plots."""
