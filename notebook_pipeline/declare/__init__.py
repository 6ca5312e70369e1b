"""The vocabulary of declarations: datasets, rules and checks."""
