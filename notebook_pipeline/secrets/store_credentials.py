"""Object store credentials in the environment, which the runner uses and no kernel inherits."""

import os

from notebook_pipeline.connections import Connection
from notebook_pipeline.secret_values import is_secret_name

_VARIABLES = ("AWS_", "AZURE_STORAGE_", "FSSPEC_", "GOOGLE_APPLICATION_")


def is_of_store(name: str) -> bool:
    """Return True if a variable of this name configures access to an object store."""
    return name.startswith(_VARIABLES)


def credentials() -> Connection:
    """Return the secrets among these variables as a connection, so that they are masked as well."""
    found = {
        name: value
        for name, value in os.environ.items()
        if is_of_store(name) and is_secret_name(name) and not name.endswith("_FILE")
    }
    return Connection("NOTEBOOK_PIPELINE_OUTPUT", "object store", extra=found)
