"""What a notebook's cells import of this package is found without running them, and loaded early."""

import importlib
import json
import subprocess
import sys

import pytest

from notebook_pipeline.running import preload

SOURCES = [
    "from notebook_pipeline.steps import load, extract\nimport os",
    "%matplotlib inline\nfrom notebook_pipeline.sources.http import rest",
    "from notebook_pipeline.steps.progress import Progress\nfrom notebook_pipeline.steps import load",
    "if True:\n    from notebook_pipeline.steps import session",
]


def test_modules_are_found_once_each_in_their_order() -> None:
    cells = [{"cell_type": "code", "source": source} for source in SOURCES]
    cells.append({"cell_type": "markdown", "source": "from notebook_pipeline import review"})
    assert preload.imports_of({"cells": cells}) == [
        "notebook_pipeline.steps.load",
        "notebook_pipeline.steps.extract",
        "notebook_pipeline.sources.http.rest",
        "notebook_pipeline.steps.progress.Progress",
    ]


def test_a_module_that_is_not_there_is_left_to_the_cell_that_asks_for_it() -> None:
    preload.load(["notebook_pipeline.no_such_module", "notebook_pipeline.errors.UsageError"])
    assert "notebook_pipeline.errors" in sys.modules


def test_packages_look_as_if_they_were_not_installed_for_a_while() -> None:
    sys.modules.pop("wave", None)
    with preload.without(["wave", "json"]):
        assert importlib.import_module("json") is json
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("wave")
    assert importlib.import_module("wave")


def test_papermill_can_do_without_the_clouds() -> None:
    program = """
import sys
from notebook_pipeline.commands.main import _UNNEEDED
import pytest

from notebook_pipeline.running import preload
with preload.without(_UNNEEDED):
    import notebook_pipeline.running.recording
print([name for name in _UNNEEDED if name in sys.modules])
import gcsfs
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
