"""The successful end of a run before its last cell."""

from typing import NoReturn

from IPython.display import display

from notebook_pipeline.errors import EndRun
from notebook_pipeline.running.mime_types import END


def end_run(reason: str) -> NoReturn:
    """End the run as a success without running the cells that follow; the artefact shows the reason."""
    display({END: reason, "text/plain": f"The run ends here: {reason}"}, raw=True)
    raise EndRun(reason)
