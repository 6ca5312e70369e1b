"""Know what is asked of a run before anything of it starts, and refuse what cannot be."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_client.kernelspec import KernelSpec

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, Connection, resolve
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.connection_parameters import named_connections
from notebook_pipeline.running.kernelspec import find_kernelspec
from notebook_pipeline.running.notebook_files import PYTHON, language_of, notebook_name
from notebook_pipeline.running.notebook_reader import read_notebook
from notebook_pipeline.running.output_limits import MEGABYTE, OutputLimits
from notebook_pipeline.running.parameters import check_parameters
from notebook_pipeline.running.parameters_cell import read_parameters
from notebook_pipeline.running.run_identity import Identity, new_run_id
from notebook_pipeline.secrets.kernel_environment import proxies
from notebook_pipeline.secrets.redaction import Redactor
from notebook_pipeline.secrets.store_credentials import credentials


class Limits(NamedTuple):
    """The seconds that a cell may take (None: any), a kernel to start, that pass between two lines on how
    far a long step is, and that a kernel may take to end; and how much of the output is kept.
    """

    cell: float | None = None
    start: float = 60
    progress: float = 5
    end: float = 60
    output: OutputLimits = OutputLimits(10 * MEGABYTE, 100 * MEGABYTE, MEGABYTE // 4)


@dataclass(frozen=True)
class Plan:
    """Hold everything that is known of a run before its kernel starts.

    `source` is the notebook in `content`; `kernel` is the kernel that it asks for, None for this
    interpreter's own.
    """

    run_id: str
    notebook: Path
    name: str
    content: bytes
    source: Mapping[str, Any]
    language: str
    kernel: KernelSpec | None
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
            "notebook": self.name,
            "notebook_sha256": hashlib.sha256(self.content).hexdigest(),
            "parameters": dict(self.parameters),
        }


def make_plan(
    path: Path,
    given: Mapping[str, Any],
    identity: Identity,
    connections: Mapping[str, Connection] | None,
    limits: Limits,
) -> Plan:
    """Hold what is asked of a run to what its notebook declares; raise UsageError where that does not fit."""
    content = path.read_bytes()
    source = read_notebook(content, str(path))
    metadata = source["metadata"]
    declared = read_parameters(path)
    parameters = check_parameters(declared, given)
    language = language_of(metadata)
    if language != PYTHON and given:
        _refuse_untranslatable(path, language)
    # An executed notebook is run again with the values that it was given.
    changed = {parameter.name for parameter in declared or () if parameter.injected} | given.keys()
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
        name=notebook_name(path),
        content=content,
        source=source,
        language=language,
        kernel=find_kernelspec(metadata),
        given={name: value for name, value in parameters.items() if name in changed},
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
    named = named_connections(parameters)
    if resolved is None:
        return {conn_id: resolve(conn_id) for conn_id in named}
    missing = sorted(named.keys() - resolved.keys())
    if missing:
        raise UsageError(f"{named[missing[0]]}: connection {missing[0]!r} was not handed to this run")
    return {conn_id: resolved[conn_id] for conn_id in named}


def _refuse_untranslatable(path: Path, language: str) -> None:
    # Slow to import, and needed for other languages than Python only.
    from papermill.exceptions import PapermillException
    from papermill.translators import papermill_translators

    try:
        papermill_translators.find_translator("", language)
    except PapermillException:
        raise UsageError(f"{path}: papermill cannot write parameters in the language {language!r}") from None


def refuse_secrets(parameters: Mapping[str, Any], redactor: Redactor) -> None:
    """Raise UsageError where a parameter holds a secret that the redactor knows."""
    for name, value in parameters.items():
        if isinstance(value, str) and redactor.is_in(value):
            raise UsageError(
                f"parameter {name} holds a secret of a connection, and parameters are saved and shown; "
                "name the connection instead"
            )
