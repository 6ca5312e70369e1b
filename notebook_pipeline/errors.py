"""The few errors that the pipeline raises on purpose; each message says what was seen and what to do."""


class PipelineError(Exception):
    """Say why a run failed; running it again may help."""


class DataRefused(PipelineError):
    """Say that the data itself is not acceptable, so that a retry of the same run is useless."""


class UsageError(PipelineError):
    """Say that a run was asked for wrongly: an unknown notebook, parameter, dataset or connection."""
