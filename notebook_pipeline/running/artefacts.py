"""Artefacts: the executed notebook of each try, the latest success, and those of lost runs."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.outputs.file_names import safe_file_name
from notebook_pipeline.outputs.output_store import Output
from notebook_pipeline.running import artefact_metadata
from notebook_pipeline.running.run_identity import Identity
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database


def new_key(output: Output, identity: Identity) -> str:
    """Return the key of this try's artefact, which no other artefact and no running run uses.

    Every id is made safe for a file name; two run ids never share a folder.
    """
    run = safe_file_name(identity.dag_run_id or "", ignore_case=True)
    folder = f"runs/{safe_file_name(identity.dag_id)}/{run}"
    mapped = f"__m{identity.map_index}" if identity.map_index >= 0 else ""
    name = f"{safe_file_name(identity.task_id or '')}{mapped}__try{identity.try_number}"
    keys = (f"{folder}/{name}{again}.ipynb" for again in ("", *(f"__{count}" for count in range(2, 10_000))))
    return next(key for key in keys if output.stamp(key) is None and not _lock(key).exists())


def read(output: Output, key: str) -> artefact_metadata.Notebook:
    """Return an executed notebook as JSON."""
    return json.loads(output.read(key))


def settle_lost(database: Database, output: Output) -> list[dict[str, Any]]:
    """Mark each run whose process has died as failed, in its artefact and in the ledger; return their rows.

    The artefact is written first, so that a run is still found as lost if this process dies in between.
    """
    locks = settings.output()
    for run in database.query("SELECT * FROM pipeline_run WHERE status = 'running'").to_pylist():
        # A lock is released only after its row is closed, so a row that is open without a lock is lost.
        if not ledger.is_alive(database, locks, run) and _is_open(database, run):
            # An artefact that cannot be read or written must not prevent later runs from starting.
            with suppress(OSError, PipelineError, ValueError, KeyError, TypeError, AttributeError):
                _settle(output, run)
    return ledger.settle_lost(database, locks)


def refresh_latest(database: Database, output: Output, notebook: str) -> str | None:
    """Copy the artefact of a notebook's newest success to `latest/<notebook>.ipynb`, and return that key.

    Returns None if there is no success, or if its artefact is missing.
    """
    newest = database.execute(
        "SELECT artifact FROM pipeline_run WHERE notebook = ? AND status = 'success' "
        "AND artifact IS NOT NULL ORDER BY finished_at DESC, run_id DESC LIMIT 1",
        [notebook],
    )
    if not newest:
        return None
    latest = latest_key(notebook)
    try:
        output.copy(newest[0][0], latest)
    except FileNotFoundError:
        return None
    return latest


def latest_key(notebook: str) -> str:
    """Return the key of a copy of the notebook's newest success; the folders in its name are kept."""
    parts = [notebook] if notebook.startswith("/") else notebook.split("/")
    return f"latest/{'/'.join(map(safe_file_name, parts))}.ipynb"


def _is_open(database: Database, run: dict[str, Any]) -> bool:
    return ledger.get_run(database, run["run_id"])["status"] == "running"


def _settle(output: Output, run: dict[str, Any]) -> None:
    key = run["artifact"]
    if not key:
        return
    output.prepare(key)
    output.sweep(key)
    try:
        notebook = read(output, key)
    except FileNotFoundError:
        notebook = _empty(run)
    artefact_metadata.close(
        artefact_metadata.without_banner(notebook), artefact_metadata.LastWord("failed", ledger.LOST)
    )
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True, separators=(",", ": "))
    output.write(key, text + "\n", last=True)


def _empty(run: dict[str, Any]) -> artefact_metadata.Notebook:
    """Return the artefact of a run that was lost before it wrote one."""
    names = ("run_id", *Identity.__dataclass_fields__, "notebook", "notebook_sha256")
    about = {name: run[name] for name in names}
    return {"cells": [], "metadata": {artefact_metadata.KEY: about}, "nbformat": 4, "nbformat_minor": 5}


def _lock(key: str) -> Path:
    return ledger.lock_path(settings.output(), {"artifact": key})
