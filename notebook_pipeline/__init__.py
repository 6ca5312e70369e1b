"""A notebook-driven data pipeline: bulk file, REST API and quality checks as executed notebooks."""

__version__ = "0.1.0"
