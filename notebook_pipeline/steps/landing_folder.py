"""The folder to which a run lands what it reads, and in which the next try finds it."""

import fcntl
import hashlib
import json
import os
from pathlib import Path

from notebook_pipeline import settings
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger

_MANUAL = "manual"
_locked: dict[Path, int] = {}


def landings() -> Path:
    """Return the folder of all landing folders."""
    folder = settings.output() / "landed"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def landing_folder(run: Session) -> Path:
    """Return a folder that all tries of a task share, and no other task.

    A run that is started by hand shares it with earlier ones of the same notebook and parameters, unless one
    of these is still running.
    """
    row = ledger.get_run(run.database, run.run_id)
    own = _folder([str(row[name]) for name in ("dag_id", "dag_run_id", "task_id", "map_index")])
    if row["dag_id"] != _MANUAL:
        return own
    parameters = json.dumps(json.loads(str(row["parameters"])), sort_keys=True)
    shared = _folder([_MANUAL, str(row["notebook"]), run.dataset.name, parameters])
    return shared if _lock(shared) else own


def _lock(folder: Path) -> bool:
    """Lock a folder until this process ends, and return True, or False if another process has locked it."""
    if folder in _locked:
        return True
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return False
    _locked[folder] = file
    return True


def _folder(parts: list[str]) -> Path:
    folder = landings() / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder
