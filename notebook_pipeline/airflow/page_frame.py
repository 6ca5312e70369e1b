"""Responses for Airflow's frame: outer pages with this project's one script, inner ones in a sandbox."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader

from notebook_pipeline.review import html
from notebook_pipeline.review.queries import Run

_HERE = Path(__file__).with_name("templates")
_ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OUTER_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "frame-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
# The sandbox gives a notebook's content a separate origin: no script, form, cookie or access to the parent.
_INNER_POLICY = f"sandbox; {html.POLICY}; frame-ancestors 'self'"


def outer(request: Request, template: str, **values: Any) -> Response:
    """Return an outer page, which may contain a sandboxed inner page."""
    page = _environment().get_template(template).render(address=Address(request), **values)
    return HTMLResponse(page, headers={**_ALWAYS, "Content-Security-Policy": _OUTER_POLICY})


def inner(template: str, theme: str, **values: Any) -> Response:
    """Return a page with a notebook's content, in which no script runs, wherever it is opened."""
    page = html.render(template, theme=theme, **values)
    return HTMLResponse(page, headers={**_ALWAYS, "Content-Security-Policy": _INNER_POLICY})


def download(content: bytes, name: str) -> Response:
    """Return a notebook as a download, which the browser does not display."""
    headers = {**_ALWAYS, "Content-Security-Policy": "sandbox; default-src 'none'"}
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(content, media_type="application/x-ipynb+json", headers=headers)


def script() -> Response:
    """Return the script of the outer pages."""
    return Response(_script(), media_type="text/javascript", headers=_ALWAYS)


class Address:
    """The addresses of these pages and of Airflow's own, below Airflow's base path."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._root = request.scope["root_path"]
        self._airflow = self._root.removesuffix(request.app.state.prefix)

    def page(self, name: str, query: dict[str, Any] | None = None, **path: str) -> str:
        """Return the address of one of these pages."""
        quoted = {part: quote(value, safe="") for part, value in path.items()}
        there = self._root + str(self._request.app.url_path_for(name, **quoted))
        return f"{there}?{urlencode(query)}" if query else there

    def of_run(self, name: str, run: Run, query: dict[str, Any] | None = None) -> str:
        """Return the address of one of these pages about a run."""
        return self.page(name, query, dag_id=run["dag_id"], run_id=run["run_id"])

    def here(self, **changed: Any) -> str:
        """Return the address of the requested page, with some of its query changed."""
        query = {**self._request.query_params, **changed}
        return f"?{urlencode({name: value for name, value in query.items() if value != ''})}"

    def query(self) -> dict[str, str]:
        """Return the query of the requested page."""
        return dict(self._request.query_params)

    def all_runs(self) -> str:
        """Return the address of the list of runs inside Airflow's own page."""
        return f"{self._airflow}/plugin/notebook-runs"

    def task(self, run: Run) -> str | None:
        """Return the address of the notebook tab of a run's task, or None if it was run by hand."""
        if run["dag_id"] == "manual":
            return None
        # Quote run ids as Airflow's own links do: it compares addresses to mark the open tab.
        parts = [quote(run[name], safe=":+") for name in ("dag_id", "dag_run_id", "task_id")]
        mapped = f"/mapped/{run['map_index']}" if run["map_index"] >= 0 else ""
        return f"{self._airflow}/dags/{parts[0]}/runs/{parts[1]}/tasks/{parts[2]}{mapped}/plugin/notebook"


@cache
def _environment() -> Environment:
    return html.environment().overlay(loader=FileSystemLoader([_HERE, html.TEMPLATES]))


@cache
def _script() -> str:
    return (_HERE / "outer.js").read_text(encoding="utf-8")
