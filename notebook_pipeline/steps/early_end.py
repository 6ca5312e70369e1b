"""End a run before its last cell, with success."""

from typing import NoReturn

from IPython.display import display

from notebook_pipeline.errors import EndRun
from notebook_pipeline.running.mime_types import END


def end_run(reason: str) -> NoReturn:
    """End the run here with success; the cells that follow are not run, and the artefact gives the reason."""
    display({END: reason, "text/plain": f"The run ends here: {reason}"}, raw=True)
    raise EndRun(reason)
