"""The provenance of a run: the commit of its notebook and the versions of the main packages."""

import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "notebook_pipeline",
    "adbc-driver-postgresql",
    "adbc-driver-sqlite",
    "apache-airflow",
    "ipykernel",
    "matplotlib",
    "nbclient",
    "pandas",
    "papermill",
    "pyarrow",
)


def versions() -> dict[str, str]:
    """Return the version of Python and of each main package that is installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def commit(folder: Path) -> str | None:
    """Return the git commit that a folder is checked out at, or None if there is none."""
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
