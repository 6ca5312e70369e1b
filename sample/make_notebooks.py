"""Remake the outputs in the notebooks: one reproducible run on the sample data."""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from notebook_pipeline import settings
from notebook_pipeline.connections import API, variable
from sample import api_server, players

# Each notebook reads what the ones before it wrote.
ORDER = ("bulk_load", "api_incremental_update", "data_quality", "explore_players", "review_runs")


@contextmanager
def fixed_surroundings() -> Iterator[dict[str, str]]:
    """Yield the environment of the sample run: an empty output folder, the sample API, the sample's date."""
    with tempfile.TemporaryDirectory(prefix="notebook-pipeline-") as folder, api_server.running() as url:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "NOTEBOOK_PIPELINE_"))
        }
        yield kept | {
            "NOTEBOOK_PIPELINE_HOME": str(settings.home()),
            "NOTEBOOK_PIPELINE_OUTPUT": folder,
            "NOTEBOOK_PIPELINE_TODAY": players.SAMPLE_TODAY.isoformat(),
            variable(API): url,
        }


def remake(path: Path, environment: dict[str, str]) -> None:
    """Run a notebook as JupyterLab does, and save its outputs in its file."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    with tempfile.TemporaryDirectory() as sockets:
        kernels = AsyncKernelManager(
            transport="ipc", connection_file=f"{sockets}/kernel.json", kernel_name="python3"
        )
        client = NotebookClient(notebook, km=kernels, record_timing=False, resources=folder)
        client.execute(env=environment, cleanup_kc=True)
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


def main() -> None:
    """Remake the named notebooks and those before them, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("last", nargs="?", choices=ORDER, default=ORDER[-1], help="stop after this one")
    last = parser.parse_args().last
    with fixed_surroundings() as environment:
        for name in ORDER[: ORDER.index(last) + 1]:
            remake(settings.notebooks() / f"{name}.ipynb", environment)
            print(f"{name}: outputs remade")


if __name__ == "__main__":
    main()
