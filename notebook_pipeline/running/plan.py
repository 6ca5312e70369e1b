"""Know what is asked of a run before anything of it starts, and refuse what cannot be."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, Connection, resolve
from notebook_pipeline.errors import UsageError
from notebook_pipeline.identity import Identity, new_run_id
from notebook_pipeline.outputs.credentials import credentials
from notebook_pipeline.parameters import check_parameters, read_parameters
from notebook_pipeline.redaction import Redactor
from notebook_pipeline.running.inherited import proxies

_CONNECTION_PARAMETER = "_conn_id"


class Limits(NamedTuple):
    """Hold the seconds that a cell may take (None: any), a kernel to start, and that pass between two lines
    on how far a long step is.
    """

    cell: float | None = None
    start: float = 60
    progress: float = 5


@dataclass(frozen=True)
class Plan:
    """Hold everything that is known of a run before its kernel starts."""

    run_id: str
    notebook: Path
    content: bytes
    given: Mapping[str, Any]
    parameters: Mapping[str, Any]
    identity: Identity
    connections: Mapping[str, Connection]
    database: Connection
    redactor: Redactor
    limits: Limits

    @property
    def row(self) -> dict[str, Any]:
        """Return what ledger and artefact both say of the run."""
        return {
            "run_id": self.run_id,
            **vars(self.identity),
            "notebook": self.notebook.stem,
            "notebook_sha256": hashlib.sha256(self.content).hexdigest(),
            "parameters": dict(self.parameters),
        }


def find_notebook(notebook: str | Path) -> Path:
    """Return the file of a notebook, given by its name or by a path to an .ipynb; else raise UsageError."""
    given = Path(notebook)
    by_name = settings.notebooks() / f"{given.name.removesuffix('.ipynb')}.ipynb"
    if given.suffix == ".ipynb" and given.is_file():
        return given.absolute()
    if given.name == str(notebook) and by_name.is_file():
        return by_name
    there = ", ".join(sorted(path.stem for path in settings.notebooks().glob("*.ipynb"))) or "none"
    raise UsageError(f"no notebook {str(notebook)!r}; in {settings.notebooks()} there are: {there}")


def make_plan(
    path: Path,
    given: Mapping[str, Any],
    identity: Identity,
    connections: Mapping[str, Connection] | None,
    limits: Limits,
) -> Plan:
    """Hold what is asked of a run to what its notebook declares; raise UsageError where that does not fit."""
    parameters = check_parameters(read_parameters(path), given)
    database = parameters.get("database_conn_id") or DATABASE
    handed = _connections(parameters, connections)
    # The runner alone holds the store's; an error of its may name them.
    store = [credentials()] if settings.output_url() else []
    redactor = Redactor([*handed.values(), *proxies(), *store])
    refuse_secrets(parameters, redactor)
    run_id = new_run_id()
    named = Identity(
        identity.dag_id,
        identity.dag_run_id or run_id,
        identity.task_id or path.stem,
        identity.map_index,
        identity.try_number,
    )
    return Plan(
        run_id=run_id,
        notebook=path,
        content=path.read_bytes(),
        given={name: parameters[name] for name in given},
        parameters=parameters,
        identity=named,
        connections=handed,
        database=handed.get(database) or (connections or {}).get(database) or resolve(database),
        redactor=redactor,
        limits=limits,
    )


def _connections(
    parameters: Mapping[str, Any], resolved: Mapping[str, Connection] | None
) -> dict[str, Connection]:
    named = {
        value: name for name, value in parameters.items() if name.endswith(_CONNECTION_PARAMETER) and value
    }
    if resolved is None:
        return {conn_id: resolve(conn_id) for conn_id in named}
    missing = sorted(named.keys() - resolved.keys())
    if missing:
        raise UsageError(f"{named[missing[0]]}: connection {missing[0]!r} was not handed to this run")
    return {conn_id: resolved[conn_id] for conn_id in named}


def refuse_secrets(parameters: Mapping[str, Any], redactor: Redactor) -> None:
    """Raise UsageError where a parameter holds a secret that the redactor knows."""
    for name, value in parameters.items():
        if isinstance(value, str) and redactor.is_in(value):
            raise UsageError(
                f"parameter {name} holds a secret of a connection, and parameters are saved and shown; "
                "name the connection instead"
            )
