"""The MIME types by which a notebook reports to its runner, and the variable that holds its run's id."""

# The result of a run; if several are shown, the last one counts.
RESULT = "application/vnd.notebook-pipeline.result+json"
# The reason why a run ends successfully before its last cell.
END = "application/vnd.notebook-pipeline.end+json"
# The progress of a long step.
PROGRESS = "application/vnd.notebook-pipeline.progress+json"
# The environment variable that holds the id of a kernel's run.
RUN_ID = "NOTEBOOK_PIPELINE_RUN_ID"
