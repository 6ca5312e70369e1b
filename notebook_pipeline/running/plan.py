"""The plan of a run: everything that is asked of it, checked before a kernel starts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_client.kernelspec import KernelSpec

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, Connection, resolve
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.connection_parameters import named_connections
from notebook_pipeline.running.kernelspec import find_kernelspec
from notebook_pipeline.running.local_source import require_local_files
from notebook_pipeline.running.notebook_files import PYTHON, language_of, notebook_name
from notebook_pipeline.running.notebook_reader import read_notebook
from notebook_pipeline.running.output_limits import MEGABYTE, OutputLimits
from notebook_pipeline.running.parameters import check_parameters
from notebook_pipeline.running.parameters_cell import read_parameters
from notebook_pipeline.running.run_identity import Identity, new_run_id
from notebook_pipeline.secrets.everyday_words import everyday_words
from notebook_pipeline.secrets.kernel_environment import proxies
from notebook_pipeline.secrets.redaction import Redactor
from notebook_pipeline.secrets.store_credentials import credentials


class Limits(NamedTuple):
    """The limits of a run, all in seconds but the last.

    `cell` is for a cell (None for no limit), `start` and `end` for the start and the end of a kernel,
    `progress` between two lines on a long step; `output` limits what is kept of the output.
    """

    cell: float | None = None
    start: float = 60
    progress: float = 5
    end: float = 60
    output: OutputLimits = OutputLimits(10 * MEGABYTE, 100 * MEGABYTE, MEGABYTE // 4)


@dataclass(frozen=True)
class Plan:
    """Everything that is known of a run before its kernel starts.

    `source` is the notebook parsed from `content`; `kernel` is the installed kernel that it names, or None
    for this interpreter's own.
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
        """Return the columns of the run that are in both the ledger and the artefact."""
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
    """Return the plan of a run; raise UsageError if the request does not match what its notebook declares."""
    content = path.read_bytes()
    source = read_notebook(content, str(path))
    metadata = source["metadata"]
    declared = read_parameters(path)
    parameters = check_parameters(declared, given)
    language = language_of(metadata)
    if language != PYTHON and given:
        _refuse_untranslatable(path, language)
    # An executed notebook that is run again keeps the values that it was given.
    changed = {parameter.name for parameter in declared or () if parameter.injected} | given.keys()
    database = parameters.get("database_conn_id") or DATABASE
    passed = _connections(parameters, connections)
    # Only the runner has the store's credentials, but errors of the store may contain them.
    store = [credentials()] if settings.output_url() else []
    redactor = Redactor([*passed.values(), *proxies(), *store], everyday_words(parameters))
    refuse_secrets(parameters, redactor)
    require_local_files(parameters, passed)
    run_id = new_run_id()
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
        identity=replace(
            identity, dag_run_id=identity.dag_run_id or run_id, task_id=identity.task_id or path.stem
        ),
        connections=passed,
        database=passed.get(database) or (connections or {}).get(database) or resolve(database),
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
        raise UsageError(f"{named[missing[0]]}: connection {missing[0]!r} was not passed to this run")
    return {conn_id: resolved[conn_id] for conn_id in named}


def _refuse_untranslatable(path: Path, language: str) -> None:
    # Slow to import, and needed only for languages other than Python.
    from papermill.exceptions import PapermillException
    from papermill.translators import papermill_translators

    try:
        papermill_translators.find_translator("", language)
    except PapermillException:
        raise UsageError(f"{path}: papermill cannot write parameters in the language {language!r}") from None


def refuse_secrets(parameters: Mapping[str, Any], redactor: Redactor) -> None:
    """Raise UsageError if a parameter contains a secret that the redactor knows."""
    for name, value in parameters.items():
        if isinstance(value, str) and redactor.is_in(value):
            raise UsageError(
                f"parameter {name} holds a secret of a connection, and parameters are saved and shown; "
                "name the connection instead"
            )
