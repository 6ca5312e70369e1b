"""The declaration of the bulk files that a dataset is loaded from."""

from dataclasses import dataclass

from notebook_pipeline.declare.arguments import Declaration


@dataclass(frozen=True)
class Files(Declaration):
    """Bulk files, at the location that a connection names."""

    conn_id: str = "repository_raw_url"
