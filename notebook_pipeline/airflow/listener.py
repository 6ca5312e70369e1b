"""Import the operator once in each component that forks DAG parsers or tasks, instead of in every fork."""

from airflow.listeners import hookimpl


@hookimpl
def on_starting(component: object) -> None:
    """Import papermill and what it brings: seconds that no task has to spend again."""
    import notebook_pipeline.airflow.operator  # noqa: F401
