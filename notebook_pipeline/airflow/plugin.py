"""The Airflow plugin, which Airflow finds through the package's entry point."""

import asyncio
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from notebook_pipeline.airflow import listener

PREFIX = "/notebooks"


class LazyPages:
    """The notebook pages, imported on the first request, because tasks load this plugin too."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one ASGI request."""
        from notebook_pipeline.airflow.plugin_pages import pages

        await (await asyncio.to_thread(pages, PREFIX))(scope, receive, send)


# No leading slash, so that the links also work if Airflow is served below a path.
_TASK = f"{PREFIX[1:]}/dags/{{DAG_ID}}/task?dag_run_id={{RUN_ID}}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"
_RUNS = f"{PREFIX[1:]}/runs"


_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' "
    "stroke='{}' stroke-width='1.7'%3E%3Crect x='5' y='3' width='15' height='18' rx='2'/%3E"
    "%3Cpath d='M9 3v18M3 8h4M3 12h4M3 16h4M12.5 9h4M12.5 13h4'/%3E%3C/svg%3E"
)
_ICONS = {"icon": _ICON.format("%237c8ba1"), "icon_dark_mode": _ICON.format("%23cbd5e1")}


class NotebookPipelinePlugin(AirflowPlugin):
    """Pages for executed notebooks inside Airflow, and a listener that imports early what tasks need."""

    name = "notebook_pipeline"
    listeners: ClassVar[list[Any]] = [listener]  # pyright: ignore[reportIncompatibleVariableOverride]
    fastapi_apps: ClassVar[list[Any]] = [  # pyright: ignore[reportIncompatibleVariableOverride]
        {"app": LazyPages(), "url_prefix": PREFIX, "name": "Notebook runs"}
    ]
    external_views: ClassVar[list[Any]] = [  # pyright: ignore[reportIncompatibleVariableOverride]
        {
            "name": "Notebook",
            "href": _TASK,
            "destination": "task_instance",
            "url_route": "notebook",
            **_ICONS,
        },
        {
            # A longer name would not fit into the navigation bar.
            "name": "Notebooks",
            "href": _RUNS,
            "destination": "nav",
            "url_route": "notebook-runs",
            **_ICONS,
        },
    ]
