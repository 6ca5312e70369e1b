"""The few errors that the pipeline raises on purpose; each message says what was seen and what to do."""


class PipelineError(Exception):
    """Say why a run failed; running it again may help."""


class DataRefused(PipelineError):
    """Say that the data itself is not acceptable, so that a retry of the same run is useless."""

    def _render_traceback_(self) -> list[str]:
        """Tell IPython to show the message alone: the fault is in the data, not in the lines of a program."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(PipelineError):
    """Say that a run was asked for wrongly: an unknown notebook, parameter, dataset or connection."""


class EndRun(Exception):
    """Raised to end a run before its last cell, with success; see `steps.end_run`."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows instead of a traceback."""
        return [f"The run ends here: {self}"]
