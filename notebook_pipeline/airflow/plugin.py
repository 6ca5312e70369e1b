"""Register the project with Airflow; found through the package's entry point."""

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from notebook_pipeline.airflow import listener


class NotebookPipelinePlugin(AirflowPlugin):
    """Load what the tasks need before Airflow's components fork them."""

    name = "notebook_pipeline"
    listeners: ClassVar[list[Any]] = [listener]  # pyright: ignore[reportIncompatibleVariableOverride]
