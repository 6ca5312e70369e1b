"""The outputs of cells: mask secrets, enforce size limits, and collect results, progress and errors."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from notebook_pipeline.running.execution import Execution
from notebook_pipeline.running.mime_types import END, PROGRESS, RESULT
from notebook_pipeline.running.output_limits import MEGABYTE, OutputBudget
from notebook_pipeline.running.run_lines import Reporter
from notebook_pipeline.secrets.redaction import RedactedStream

_SHOWN = ("display_data", "execute_result", "update_display_data")
# The longest exception message, and line of a traceback, that is kept.
_LONGEST_LINE = 20_000

Message = dict[str, Any]


class CellOutputs:
    """The outputs of a run's cells. `error` is the last error that the current cell has shown."""

    def __init__(self, execution: Execution, reporter: Reporter) -> None:
        self._execution = execution
        self._redactor = execution.redactor
        self._reporter = reporter
        self._budget = OutputBudget(execution.limits.output)
        self._streams: dict[str, tuple[RedactedStream, Message]] = {}
        self.error: str | None = None

    def begin_cell(self) -> None:
        """Prepare for the outputs of the next cell."""
        self.error = None
        self._budget.begin_cell()

    def clear(self) -> None:
        """Discard what the cell has shown so far."""
        self._streams.clear()
        self._budget.clear()

    def printed(self, msg: Message) -> str:
        """Return the part of a piece of a stream that may be shown now, which may be ""."""
        name, text = msg["content"]["name"], msg["content"]["text"]
        if not self._budget.left:
            self._budget.omit(len(text))
            return ""
        stream, _ = self._streams.get(name) or (RedactedStream(self._redactor), msg)
        self._streams[name] = stream, msg
        return self._print(name, stream.feed(text))

    def rest(self) -> Iterator[tuple[Message, str]]:
        """Yield the rest of each stream that was held back, at the end of the cell."""
        for name, (stream, msg) in self._streams.items():
            yield msg, self._print(name, stream.flush())
        self._streams.clear()

    def note(self) -> str | None:
        """Return a note on the outputs that were left out, or None if none were."""
        return self._budget.note()

    def shown(self, msg: Message) -> Message | None:
        """Return a message with secrets masked, or None if it is not to be added to the notebook."""
        kind, content = msg["msg_type"], msg["content"]
        if kind == "error":
            return self._raised(msg)
        data = content.get("data")
        is_result = isinstance(data, dict) and RESULT in data
        if is_result and not self._is_small(data[RESULT]):
            return None
        if kind in _SHOWN and not is_result and not self._is_kept(msg):
            return None
        msg = {**msg, "content": self._redactor.message(content)}
        self._take_note(msg["content"])
        return msg

    def _is_kept(self, msg: Message) -> bool:
        """Return True if the output fits; an update of an earlier display is not counted again if it fits."""
        size = msg.get("size", 0)
        if msg["msg_type"] == "update_display_data" and size <= self._budget.left:
            return True
        return self._budget.take(size)

    def _is_small(self, result: object) -> bool:
        size, limit = len(json.dumps(result, default=str)), self._budget.limits.result
        if size > limit:
            self._execution.fail(
                f"the notebook's result has {size / MEGABYTE:,.1f} MB; expected at most {limit / MEGABYTE:g} "
                "MB: return counts and addresses, not data"
            )
        return size <= limit

    def _raised(self, msg: Message) -> Message:
        content = msg["content"]
        # A secret that the first cut divides stands far beyond the second.
        long = {
            **content,
            "evalue": content["evalue"][: 2 * _LONGEST_LINE],
            "traceback": [line[: 2 * _LONGEST_LINE] for line in content["traceback"]],
        }
        masked = self._redactor.message(long)
        masked["evalue"] = masked["evalue"][:_LONGEST_LINE]
        masked["traceback"] = [line[:_LONGEST_LINE] for line in masked["traceback"]]
        self.error = f"{masked['ename']}: {masked['evalue']}"
        self._reporter.raised(masked["traceback"])
        return {**msg, "content": masked}

    def _print(self, name: str, text: str) -> str:
        kept = text[: self._budget.left]
        if len(kept) < len(text):
            self._budget.omit(len(text) - len(kept))
        self._budget.take(len(kept))
        if kept:
            self._reporter.printed(name, kept)
        return kept

    def _take_note(self, content: Mapping[str, Any]) -> None:
        data = content.get("data")
        if not isinstance(data, dict):
            return
        if RESULT in data:
            self._execution.result = data[RESULT]
        if END in data:
            self._execution.ended_early = str(data[END])
        if PROGRESS in data:
            self._reporter.progressed(data.get("text/plain", ""), data[PROGRESS])
