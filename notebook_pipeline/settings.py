"""The project's folders, today's date and the current moment, read from the environment on every call."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

from notebook_pipeline.errors import UsageError

CHECKOUT = Path(__file__).resolve().parent.parent


def expanded(path: str) -> Path:
    """Return a path with `~` and `~user` expanded; raise UsageError if the home folder is unknown."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: the home folder is unknown; give the path without ~") from None


def home() -> Path:
    """Return the folder that contains `notebooks/`, `datasets/` and `data/`.

    It is NOTEBOOK_PIPELINE_HOME or, if that is not set, the checkout.
    """
    return expanded(os.environ.get("NOTEBOOK_PIPELINE_HOME") or str(CHECKOUT)).absolute()


def output() -> Path:
    """Return the local output folder: NOTEBOOK_PIPELINE_OUTPUT, relative to `home()`.

    If that is not set, or is the URL of an object store, return `home()/output`.
    """
    given = os.environ.get("NOTEBOOK_PIPELINE_OUTPUT") or "output"
    return home() / ("output" if output_url() else expanded(given))


def output_url() -> str | None:
    """Return NOTEBOOK_PIPELINE_OUTPUT if it is the URL of an object store, else None."""
    given = os.environ.get("NOTEBOOK_PIPELINE_OUTPUT") or ""
    return given if "://" in given else None


def notebooks() -> Path:
    """Return the folder of the notebook sources."""
    return home() / "notebooks"


def datasets() -> Path:
    """Return the folder of the declarations, one file per dataset."""
    return home() / "datasets"


def data() -> Path:
    """Return the folder of input files."""
    return home() / "data"


def database() -> Path:
    """Return the path of the analytics database that is used if no connection names another."""
    return output() / "analytics_database.db"


def today() -> date:
    """Return today's date in UTC, or NOTEBOOK_PIPELINE_TODAY (YYYY-MM-DD) if it is set.

    Raises UsageError if the variable is not a valid date.
    """
    given = os.environ.get("NOTEBOOK_PIPELINE_TODAY")
    if not given:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise UsageError(
            f"NOTEBOOK_PIPELINE_TODAY must be a day (YYYY-MM-DD), got {given!r}; correct it or unset it"
        ) from None


def now() -> datetime:
    """Return the current moment in UTC; its day is today()."""
    return datetime.combine(today(), datetime.now(UTC).timetz())
