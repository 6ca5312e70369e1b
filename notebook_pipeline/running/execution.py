"""One execution of a notebook: what it needs, its state and its outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notebook_pipeline.outputs.output_store import Output
from notebook_pipeline.running.kernel import Kernel
from notebook_pipeline.running.plan import Limits
from notebook_pipeline.running.run_lines import Say
from notebook_pipeline.secrets.redaction import Redactor

LONGEST_ERROR = 4000


@dataclass
class Execution:
    """What one execution needs and, when it is over, its outcome: `error` is None after success.

    `ended_early` is the reason why the remaining cells were not run although nothing failed.
    """

    kernel: Kernel
    output: Output
    artifact: str
    redactor: Redactor
    say: Say
    limits: Limits
    stopped: Callable[[], str | None] = lambda: None
    error: str | None = None
    refused: bool = False
    ended_early: str | None = None
    result: Any = field(default=None)

    def fail(self, cause: str) -> None:
        """Store the first cause of failure, masked and truncated to LONGEST_ERROR characters."""
        # Truncated first to save time; a secret that this divides is far beyond the second limit.
        self.error = self.error or self.redactor.text(cause[: 5 * LONGEST_ERROR])[:LONGEST_ERROR]


@dataclass(frozen=True)
class Finished:
    """The outcome of a run; `rows` holds the counts that it has, by their names in the ledger.

    `artifact` is relative to the output, as in the ledger; `address` is its full path or URL.
    """

    run_id: str
    status: str
    artifact: str
    address: str
    result: dict[str, Any] | None
    error: str | None
    retryable: bool
    rows: Mapping[str, object]
