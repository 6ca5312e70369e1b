"""Know where things are and which day it is; every answer is read from the environment when asked."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

from notebook_pipeline.errors import UsageError

CHECKOUT = Path(__file__).resolve().parent.parent


def expanded(path: str) -> Path:
    """Return a path with `~` and `~user` replaced; raise UsageError where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: no home folder is known for this; give the path without ~") from None


def home() -> Path:
    """Return the folder of `notebooks/`, `datasets/` and `data/`: NOTEBOOK_PIPELINE_HOME or the checkout."""
    return expanded(os.environ.get("NOTEBOOK_PIPELINE_HOME") or str(CHECKOUT)).absolute()


def output() -> Path:
    """Return the output folder of this machine: NOTEBOOK_PIPELINE_OUTPUT (relative to `home()`).

    Without it, or where it names an object store, that is `home()/output`.
    """
    given = os.environ.get("NOTEBOOK_PIPELINE_OUTPUT") or "output"
    return home() / ("output" if output_url() else expanded(given))


def output_url() -> str | None:
    """Return the object store for what comes out, where NOTEBOOK_PIPELINE_OUTPUT is a URL, else None."""
    given = os.environ.get("NOTEBOOK_PIPELINE_OUTPUT") or ""
    return given if "://" in given else None


def notebooks() -> Path:
    """Return the folder of the notebooks' sources."""
    return home() / "notebooks"


def datasets() -> Path:
    """Return the folder of the declarations, one dataset a file."""
    return home() / "datasets"


def data() -> Path:
    """Return the folder of what comes in."""
    return home() / "data"


def database() -> Path:
    """Return where the analytics database lies when no connection says otherwise."""
    return output() / "analytics_database.db"


def today() -> date:
    """Return today's day in UTC; NOTEBOOK_PIPELINE_TODAY (YYYY-MM-DD) overrides it.

    Raises UsageError where the variable is not a day.
    """
    given = os.environ.get("NOTEBOOK_PIPELINE_TODAY")
    if not given:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise UsageError(
            f"NOTEBOOK_PIPELINE_TODAY is {given!r}; give a day as YYYY-MM-DD or unset it"
        ) from None
