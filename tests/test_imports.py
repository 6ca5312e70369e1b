"""What a notebook's cells import of this package is found without running them, and loaded early."""

import json
import sys

from notebook_pipeline.running import imports

SOURCES = [
    "from notebook_pipeline import load, extract\nimport os",
    "%matplotlib inline\nfrom notebook_pipeline import api",
    ["from notebook_pipeline.progress import Progress\n", "from notebook_pipeline import load"],
    "if True:\n    from notebook_pipeline import session",
]


def test_modules_are_found_once_each_in_their_order() -> None:
    cells = [{"cell_type": "code", "source": source} for source in SOURCES]
    cells.append({"cell_type": "markdown", "source": "from notebook_pipeline import review"})
    assert imports.imports_of(json.dumps({"cells": cells}).encode()) == [
        "notebook_pipeline.load",
        "notebook_pipeline.extract",
        "notebook_pipeline.progress",
    ]


def test_a_module_that_is_not_there_is_left_to_the_cell_that_asks_for_it() -> None:
    imports.load(["notebook_pipeline.no_such_module", "notebook_pipeline.errors"])
    assert "notebook_pipeline.errors" in sys.modules
