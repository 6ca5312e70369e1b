"""Know where executed notebooks lie and how they are written: one file a try, whole or not at all."""

import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from filecmp import cmp
from pathlib import Path
from typing import Any

from notebook_pipeline import ledger, settings
from notebook_pipeline.running import record
from notebook_pipeline.storage.database import Database

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
# Some file systems do not tell capitals from small letters.
_PLAIN_RUN = re.compile(r"[a-z0-9_-][a-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Identity:
    """Name one try of one task; outside Airflow the run and the notebook lend their names."""

    dag_id: str = "manual"
    dag_run_id: str | None = None
    task_id: str | None = None
    map_index: int = -1
    try_number: int = 1


def new_path(output: Path, identity: Identity) -> Path:
    """Return where this try's artefact goes; never a file that is there already.

    Every id is made safe for a file name; two run ids never share a folder.
    """
    folder = output / "runs" / _safe(identity.dag_id) / _safe(identity.dag_run_id or "", _PLAIN_RUN)
    mapped = f"__m{identity.map_index}" if identity.map_index >= 0 else ""
    name = f"{_safe(identity.task_id or '')}{mapped}__try{identity.try_number}"
    make_private(folder, output)
    paths = (folder / f"{name}{again}.ipynb" for again in ("", *(f"__{count}" for count in range(2, 10_000))))
    return next(path for path in paths if not path.exists() and not _lock(path).exists())


def write(path: Path, text: str, *, last: bool = False) -> None:
    """Write a notebook beside its place, for its owner alone, and put it there in one step.

    The last version outlives a power cut as well.
    """
    # mkstemp's files are for their owner alone.
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if last:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: Path) -> record.Notebook:
    """Return an executed notebook as JSON."""
    return json.loads(path.read_bytes())


def settle_lost(database: Database) -> list[dict[str, Any]]:
    """Set right, artefact and ledger, every run whose process is gone; return the rows that were open.

    The artefact goes first: whoever dies between the two leaves a run that is still found lost.
    """
    output = settings.output()
    for run in database.query("SELECT * FROM pipeline_run WHERE status = 'running'").to_pylist():
        # The lock goes after the row is closed, so a row that is open while the lock is free is lost.
        if not ledger.is_alive(database, output, run) and _is_open(database, run):
            # An artefact that cannot be read or written must not keep every later run from starting.
            with suppress(OSError, ValueError, KeyError):
                _settle(output, run)
    return ledger.settle_lost(database, output)


def refresh_latest(database: Database, notebook: str) -> Path | None:
    """Let `latest/<notebook>.ipynb` be the newest success that the ledger knows, and return its path."""
    output = settings.output()
    newest = database.execute(
        "SELECT artifact FROM pipeline_run WHERE notebook = ? AND status = 'success' "
        "AND artifact IS NOT NULL ORDER BY finished_at DESC, run_id DESC LIMIT 1",
        [notebook],
    )
    latest = output / "latest" / f"{_safe(notebook)}.ipynb"
    if not newest or not (output / newest[0][0]).is_file():
        return None
    if not (latest.exists() and cmp(output / newest[0][0], latest)):
        _link(output / newest[0][0], latest, output)
    return latest


def make_private(folder: Path, output: Path) -> None:
    """Make a folder and those above it, up to the output folder, for their owner alone."""
    for part in reversed([folder, *folder.relative_to(output).parents]):
        (output / part).mkdir(parents=True, exist_ok=True, mode=0o700)


def _is_open(database: Database, run: dict[str, Any]) -> bool:
    return ledger.get_run(database, run["run_id"])["status"] == "running"


def _settle(output: Path, run: dict[str, Any]) -> None:
    if not run["artifact"]:
        return
    path = output / run["artifact"]
    make_private(path.parent, output)
    for temporary in path.parent.glob(f".{path.name}.*.tmp"):
        temporary.unlink(missing_ok=True)
    notebook = read(path) if path.exists() else _empty(run)
    record.close(record.without_banner(notebook), record.LastWord("failed", ledger.LOST))
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True, separators=(",", ": "))
    write(path, text + "\n", last=True)


def _empty(run: dict[str, Any]) -> record.Notebook:
    """Return the artefact of a run that was lost before it wrote one."""
    names = ("run_id", *Identity.__dataclass_fields__, "notebook", "notebook_sha256")
    about = {name: run[name] for name in names}
    return {"cells": [], "metadata": {record.KEY: about}, "nbformat": 4, "nbformat_minor": 5}


def _link(artifact: Path, latest: Path, output: Path) -> None:
    make_private(latest.parent, output)
    # Beside the artefact, where it is swept if this process is killed.
    temporary = artifact.with_name(f".{artifact.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        os.link(artifact, temporary)
    except OSError:
        # Not every file system knows links.
        shutil.copy2(artifact, temporary)
    os.replace(temporary, latest)
    # Where both were the same file already, replacing does nothing at all.
    temporary.unlink(missing_ok=True)


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _safe(name: str, plain: re.Pattern[str] = _PLAIN) -> str:
    """Return a plain name as it is, and of any other a readable part and a digest that is its own.

    A plain name holds no ~, so the two kinds never meet.
    """
    if plain.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:80].strip("-") + "~" + digest
