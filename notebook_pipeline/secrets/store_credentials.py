"""Know a store's credentials in the environment: they are the runner's, no kernel sees them, nobody else."""

import os

from notebook_pipeline.connections import Connection, is_secret_name

_VARIABLES = ("AWS_", "AZURE_STORAGE_", "FSSPEC_", "GOOGLE_APPLICATION_")


def is_of_store(name: str) -> bool:
    """Say whether a variable of this name tells a store's tools who they are and where the store is."""
    return name.startswith(_VARIABLES)


def credentials() -> Connection:
    """Return the secrets among these variables as a connection, so that they are masked like any other's."""
    found = {
        name: value
        for name, value in os.environ.items()
        if is_of_store(name) and is_secret_name(name) and not name.endswith("_FILE")
    }
    return Connection("NOTEBOOK_PIPELINE_OUTPUT", "object store", extra=found)
