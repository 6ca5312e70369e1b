"""A small history of runs, in a real ledger with real artefacts, for the tests of reviews."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import databases
import nbformat
import pyarrow as pa
from declared import PLAYER
from nbformat import v4

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import Checked, stored_schema
from notebook_pipeline.sources.files.file_source import BULK as KIND_BULK
from notebook_pipeline.sources.http.rest import API as KIND_API
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_table, create_tables

ADA = {
    "player_id": 1,
    "gsis_id": None,
    "first_name": "Ada",
    "last_name": "Łopez",
    "position": "QB",
    "last_changed_date": "2024-01-01",
}
BO = {**ADA, "player_id": 2, "gsis_id": "00-02", "first_name": "Bo", "position": "RB"}
BULK, API = Origin(KIND_BULK), Origin(KIND_API)


class Story:
    """A database and an output folder to which runs are added one after another."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.connection = databases.connection(output)
        self._stack = ExitStack()
        self.database: Database = self._stack.enter_context(connect(self.connection))
        create_tables(self.database)
        create_table(self.database, PLAYER)
        self.count = 0

    def close(self) -> None:
        self._stack.close()

    def run(
        self,
        notebook: str = "bulk_load",
        *,
        parameters: Mapping[str, Any] | None = None,
        dag_id: str = "manual",
        dag_run_id: str = "",
        task_id: str = "",
        map_index: int = -1,
        try_number: int = 1,
        status: str = "success",
        error: str | None = None,
        rows: Sequence[Mapping[str, Any]] = (),
        origin: Origin = BULK,
        cells: Sequence[Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        artifact: str | None = None,
    ) -> str:
        """Add one run, merge its rows, write its artefact, and return its id."""
        self.count += 1
        run_id = f"240301-{self.count:06}000000{self.count:02x}"
        artifact = artifact or f"runs/{dag_id}/{dag_run_id or run_id}/{run_id}.ipynb".replace(":", "-")
        given = dict(parameters or {"dataset": "player", "source": "players.csv"})
        ledger.start_run(
            self.database,
            run_id=run_id,
            dag_id=dag_id,
            dag_run_id=dag_run_id or run_id,
            task_id=task_id or notebook,
            map_index=map_index,
            try_number=try_number,
            notebook=notebook,
            notebook_sha256="ab" * 32,
            parameters=given,
            artifact=artifact,
        )
        if rows:
            self._merge(run_id, rows, origin)
        if status != "running":
            ledger.finish_run(self.database, run_id, status, error)
        if cells is not None:
            self.write_artefact(artifact, cells, {"run_id": run_id, **(metadata or {})})
        return run_id

    def write_artefact(self, artifact: str, cells: Sequence[Any], metadata: Mapping[str, Any]) -> Path:
        """Write an executed notebook where the ledger says it lies."""
        path = self.output / artifact
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook = v4.new_notebook(cells=list(cells), metadata={"notebook_pipeline": dict(metadata)})
        nbformat.write(notebook, path)
        return path

    def reject(self, run_id: str, *rows: tuple[str, Mapping[str, Any], list[str]]) -> None:
        """Record rejected rows of a run."""
        saved = [(position, json.dumps(row), reasons) for position, row, reasons in rows]
        ledger.save_rejected(self.database, run_id, "player", saved)

    def check(
        self, run_id: str, name: str, *, passed: bool, severity: str = "error", measured: str = "0"
    ) -> None:
        """Record one check result of a run."""
        result = {
            "check_name": name,
            "severity": severity,
            "passed": passed,
            "measured": measured,
            "expected": "0",
        }
        ledger.save_results(self.database, run_id, "player", [result])

    def _merge(self, run_id: str, rows: Sequence[Mapping[str, Any]], origin: Origin) -> None:
        batch = pa.RecordBatch.from_pylist([dict(row) for row in rows], stored_schema(PLAYER))
        session = Session(run_id, {"dataset": "player"}, self.database, None)
        with transaction(session, origin, Limits()) as merge:
            merge.merge([Checked(batch, [], batch.num_rows)])
            merge.verify()


def code(source: str, *outputs: Any, status: str = "completed", tags: Sequence[str] = ()) -> Any:
    """Return an executed code cell."""
    cell = v4.new_code_cell(source, outputs=list(outputs))
    cell.metadata = nbformat.from_dict(
        {"papermill": {"status": status, "duration": 0.25}, "tags": list(tags)}
    )
    return cell


def printed(text: str) -> Any:
    """Return what a cell printed."""
    return v4.new_output("stream", name="stdout", text=text)


def shown(**data: Any) -> Any:
    """Return what a cell displayed; `text_html` stands for text/html."""
    return v4.new_output(
        "display_data", data={kind.replace("_", "/", 1): value for kind, value in data.items()}
    )
