"""Import the operator in each component before it forks DAG parsers or tasks, not in every fork."""

from airflow.listeners import hookimpl


@hookimpl
def on_starting(component: object) -> None:
    """Import papermill and its dependencies, which would take each task seconds."""
    import notebook_pipeline.airflow.operator  # noqa: F401
