"""What is secret, and how it is kept out of notebooks, logs and child processes."""
