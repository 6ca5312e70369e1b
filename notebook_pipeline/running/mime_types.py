"""Name what a notebook tells its runner: the kinds of its display data, and how it knows its run."""

# The one result of a run; where several are shown, the last.
RESULT = "application/vnd.notebook-pipeline.result+json"
# Why a run ends before its last cell, with success.
END = "application/vnd.notebook-pipeline.end+json"
# How far a long step is.
PROGRESS = "application/vnd.notebook-pipeline.progress+json"
# The environment variable that holds the id of the run that a kernel belongs to.
RUN_ID = "NOTEBOOK_PIPELINE_RUN_ID"
