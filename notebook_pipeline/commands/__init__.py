"""The command line: its subcommands and their output."""
