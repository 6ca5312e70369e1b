"""The command line: its subcommands, and what they print."""
