"""The task that divides the files of a bulk load among `load` tasks."""

from collections.abc import Sequence
from contextlib import suppress

from airflow.sdk import task
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.airflow.task_context import task_context
from notebook_pipeline.connections import Connection
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.running.parameters import refuse_secret_address


# Airflow would log the returned addresses in full; the task prints them without their secrets.
@task(show_return_value_in_logs=False)
def plan_bulk_load() -> list[dict[str, str]]:
    """Return the parameters of each `load` task: one task with all files, or a group of files for each slot.

    SQLite gets one task: it allows one writer, so several tasks would only wait for each other.
    """
    from notebook_pipeline.running.connection_parameters import connection_of
    from notebook_pipeline.sources.files.locations import shown

    params = task_context()["params"]
    try:
        refuse_secret_address("source", params["source"])
    except UsageError as error:
        raise AirflowFailException(str(error)) from None
    database = resolve_connection(params["database_conn_id"])
    at_most = 1 if database.conn_type == "sqlite" else conf.getint("core", "parallelism")
    files = resolve_connection(connection_of("file_conn_id", params))
    sources = bulk_sources(params["source"], files, _declared_files(params["dataset"]), at_most)
    for number, source in enumerate(sources):
        print(f"load {number} of {len(sources)}: {shown(source)}")
    return [{"source": source} for source in sources]


def bulk_sources(source: str, connection: Connection, files: Files, at_most: int) -> Sequence[str]:
    """Return the source divided into at most `at_most` sources; a snapshot is never divided.

    A source whose files cannot be listed is not divided, so that the task that loads it shows the error.
    """
    from notebook_pipeline.sources.files.locations import groups
    from notebook_pipeline.sources.replay import PREFIX

    if at_most < 2 or source.startswith(PREFIX):
        return [source]
    try:
        return groups(source, connection, files, at_most)
    except PipelineError as error:
        print(f"One task loads the whole source: {error}")
        return [source]


def _declared_files(dataset: str) -> Files:
    """Return how a dataset's files are declared; the task that loads them reports an unknown dataset."""
    from notebook_pipeline.declare.catalogue import get

    with suppress(UsageError):
        return get(dataset).files
    return Files()
