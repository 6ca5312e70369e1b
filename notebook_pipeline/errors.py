"""The exceptions that the pipeline raises; each message states what was found and what to do."""


class PipelineError(Exception):
    """An error that made a run fail; running it again may succeed."""

    def _render_traceback_(self) -> list[str]:
        """Return the message alone for IPython to show: it says what to do, and the stack does not."""
        return [f"{type(self).__name__}: {self}"]


class DataRefused(PipelineError):
    """An error in the data itself: the same run would fail again, so it is not retried."""


class UsageError(PipelineError):
    """An error in how a run was requested, such as an unknown notebook, parameter, dataset or connection."""


class EndRun(Exception):
    """Raised to end a run successfully before its last cell; see `steps.end_run`."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows instead of a traceback."""
        return [f"The run ends here: {self}"]
