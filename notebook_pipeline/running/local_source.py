"""The check that the local files that a run is to load exist, before its kernel starts."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.connection_parameters import connection_of


def require_local_files(parameters: Mapping[str, Any], connections: Mapping[str, Connection]) -> None:
    """Raise UsageError if the parameter `source` names files of this machine that are not there.

    Notebooks without `source` and `file_conn_id` load no files. Files elsewhere are looked for by the
    notebook.
    """
    source, dataset = parameters.get("source"), parameters.get("dataset")
    if not isinstance(source, str) or "file_conn_id" not in parameters:
        return
    connection = connections.get(connection_of("file_conn_id", parameters))
    if connection is None or connection.conn_type != "fs" or not isinstance(dataset, str):
        return
    # Imports pyarrow, which takes 0.2 s, and most notebooks load no files.
    from notebook_pipeline.declare.catalogue import get
    from notebook_pipeline.sources.files.locations import is_local, locate
    from notebook_pipeline.sources.replay import PREFIX

    if source.startswith(PREFIX) or not is_local(source, connection):
        return
    files = None
    with suppress(UsageError):  # reported by the notebook
        files = get(dataset).files
    if files:
        locate(source, connection, files)
