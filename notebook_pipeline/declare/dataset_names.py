"""The names that a dataset may have; its table has the same name."""

import re

from notebook_pipeline.errors import UsageError

# PostgreSQL truncates names of more than 63 bytes, and an index is named after the dataset.
MOST_CHARACTERS = 50

NAME = re.compile(r"[a-z][a-z0-9_]*")
BOOKKEEPING = frozenset(
    {
        "pipeline_run",
        "run_child",
        "watermark",
        "stream_position",
        "received_message",
        "rejected_row",
        "deleted_row",
        "quality_result",
        "schema_version",
        "loaded_file",
        "extraction",
        "row_place",
        "accepted_row",
        "sweep",
    }
)
"""The engine's own tables."""
_INDEXES = {"pipeline_run_running", "quality_result_run", "extraction_place"}
_RESERVED = ("sqlite_", "pg_", "rejected_row_", "parents_of_")


def refuse_name(name: str) -> None:
    """Raise UsageError if a dataset may not have this name."""
    if not NAME.fullmatch(name) or len(name) > MOST_CHARACTERS:
        raise UsageError(
            f"dataset name {name!r}: use lowercase letters, digits and _, starting with a letter, "
            f"at most {MOST_CHARACTERS} characters"
        )
    if name in BOOKKEEPING:
        raise UsageError(f"dataset {name!r} has the name of a bookkeeping table; choose another")
    if name in _INDEXES or name.startswith(_RESERVED) or name.endswith("_pkey"):
        raise UsageError(f"dataset {name!r} has a name that is reserved for the database; choose another")
