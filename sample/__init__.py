"""The sample data, the sample API, and the programs behind the make targets; not in the wheel."""
