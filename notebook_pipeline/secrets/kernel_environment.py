"""The environment variables that a kernel inherits from the runner: none that is likely to be a secret."""

import os
import re

from notebook_pipeline.connections import Connection
from notebook_pipeline.secret_values import is_secret_field
from notebook_pipeline.secrets.store_credentials import is_of_store

# Variables that would make a notebook's outputs differ from JupyterLab's, or from one run to the next.
_UNWANTED = {"MPLBACKEND", "COLUMNS", "LINES", "PYTHONSTARTUP", "PYTEST_CURRENT_TEST", "JPY_PARENT_PID"}
# A number before a slash is a port, and the path after it may contain an @.
_LOGIN_IN_ADDRESS = re.compile(r"://(?:[^/\s@]+|[^/\s:@]*:(?!\d+/)[^\s@]*)@")
_NAMED_WITHIN = re.compile(
    r"(?:password|passwd|pwd|secret|token|(?:account|access|api)[-_]?key)[\"']?\s*[=:]", re.IGNORECASE
)


def inherited() -> dict[str, str]:
    """Return the variables that a kernel inherits.

    Leave out those whose name is that of a secret, and those whose value contains a login in an address or
    something such as `password=`. Keep proxies as they are, for nothing would work without; see `proxies`.
    """
    return {name: value for name, value in os.environ.items() if _is_for_kernels(name, value)}


def proxies() -> list[Connection]:
    """Return the inherited proxies as connections, so that their passwords are masked as well."""
    found = {value: name for name, value in inherited().items() if _is_proxy(name)}
    return [Connection(name, "http", host=value) for value, name in found.items()]


def _is_for_kernels(name: str, value: str) -> bool:
    if name in _UNWANTED or "AIRFLOW" in name.upper() or is_of_store(name) or is_secret_field(name):
        return False
    return _is_proxy(name) or not (_LOGIN_IN_ADDRESS.search(value) or _NAMED_WITHIN.search(value))


def _is_proxy(name: str) -> bool:
    return name.upper().endswith("_PROXY")
