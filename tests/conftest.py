"""Give tests a home of their own: nothing of this checkout, of the environment or of other tests is in it."""

import os
import tempfile
from pathlib import Path

import pytest

from notebook_pipeline.connections import PREFIX
from notebook_pipeline.demo.surroundings import airflow_environment

# Airflow reads its settings when it is first imported, by whichever test that is.
_AIRFLOW = tempfile.TemporaryDirectory(prefix="airflow-")
_SETTINGS = airflow_environment(Path(_AIRFLOW.name))
for _name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[_name]
os.environ.update(_SETTINGS)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home, with `notebooks/` in it, that settings and kernels use."""
    for name in [name for name in os.environ if name.startswith((PREFIX, "NOTEBOOK_PIPELINE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_HOME", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    return tmp_path
