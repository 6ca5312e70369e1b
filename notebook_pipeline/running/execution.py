"""Hold what one execution needs, how it goes, and how it went in the end."""

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
    """What one execution needs and, once it is over, how it went: `error` is None after success.

    `ended_early` says why the cells after the last one that ran were not run, although nothing failed.
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
        """Remember the first cause of failure, masked and cut to a length that a ledger can hold."""
        # A secret that the first cut divides stands far beyond the second.
        self.error = self.error or self.redactor.text(cause[: 5 * LONGEST_ERROR])[:LONGEST_ERROR]


@dataclass(frozen=True)
class Finished:
    """Say how a run ended; `rows` holds the counts that it has, by the ledger's names.

    `artifact` is relative to the output, as in the ledger; `address` is where that lies.
    """

    run_id: str
    status: str
    artifact: str
    address: str
    result: dict[str, Any] | None
    error: str | None
    retryable: bool
    rows: Mapping[str, object]
