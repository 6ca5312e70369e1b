"""The client of a kernel: run a notebook's cells, and mask secrets in outputs before they go anywhere."""

import asyncio
import time
from contextlib import suppress
from queue import Empty
from typing import Any, cast

import nbformat
from nbclient.exceptions import CellExecutionComplete, CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient

from notebook_pipeline.errors import EndRun
from notebook_pipeline.number_texts import counted
from notebook_pipeline.running import artefact_metadata
from notebook_pipeline.running.artefact_recorder import Recorder
from notebook_pipeline.running.cell_outputs import CellOutputs
from notebook_pipeline.running.execution import Execution
from notebook_pipeline.running.kernel import log
from notebook_pipeline.running.message_numbers import NumberedChannel, NumberedKernelClient
from notebook_pipeline.running.refusals import is_refusal
from notebook_pipeline.running.run_lines import Reporter

# Outputs may arrive after a cell's reply, but not after a silence of this length.
SILENT_SECONDS = 120
_UNLIMITED_SECONDS = 10**9
_POLL_SECONDS = 0.25
# What SystemExit says if a program ends well.
_SUCCESS = ("", "0", "None")


class SilentKernelError(RuntimeError):
    """Raised if a kernel finishes a cell but never confirms that all of its outputs were sent."""


class Client(PapermillNotebookClient):
    """A client of a kernel that masks secrets in all messages before they are stored or shown."""

    def __init__(self, recorder: Recorder, execution: Execution) -> None:
        super().__init__(
            recorder,
            km=execution.kernel.manager,
            startup_timeout=max(1, round(execution.limits.start)),
            timeout_func=lambda _: execution.limits.cell,
            iopub_timeout=_UNLIMITED_SECONDS,  # see `_async_poll_output_msg`
            on_cell_executed=self._note_exit,
            shutdown_kernel="immediate",
            log=log,
        )
        self._execution = execution
        self._titles = list(artefact_metadata.headings(self.nb))
        total = sum(map(_is_run, self.nb.cells))
        self._reporter = Reporter(execution.say, total, execution.limits.progress)
        self._outputs = CellOutputs(execution, self._reporter)
        self._open_stream: nbformat.NotebookNode | None = None
        self._pieces: list[str] = []
        recorder.before_save = self._join_pieces

    def execute(self, **_: Any) -> nbformat.NotebookNode:
        """Run the cells until one fails; the cause is stored in the execution."""
        self.reset_execution_trackers()
        try:
            reply = self.wait_for_reply(self.start_new_kernel_client().kernel_info())
            if reply is not None:
                self.nb.metadata["language_info"] = reply["content"]["language_info"]
        except RuntimeError as error:
            self._execution.fail(self._cause(f"{error}; {self._execution.kernel.cause_of_death()}"))
            return self.nb
        try:
            self.papermill_execute_cells()
            self.set_widgets_metadata()
        finally:
            if self.kc:
                self.kc.stop_channels()
        return self.nb

    def papermill_execute_cells(self) -> None:
        """Run the cells in order, until one fails or ends the run."""
        for index, cell in enumerate(self.nb.cells):
            if not _is_run(cell):
                cell.metadata.papermill["status"] = artefact_metadata.COMPLETED
            elif not self._run_cell(cell, index):
                return

    def _run_cell(self, cell: nbformat.NotebookNode, index: int) -> bool:
        began = time.monotonic()
        self._outputs.begin_cell()
        self._open_stream = None
        self.nb_man.cell_start(cell, index)
        self._execute(cell, index)
        self._flush(cell, index)
        self._fail_if_untrue(cell)
        failed = self._execution.error is not None
        if self._execution.ended_early:
            cell.outputs = [output for output in cell.outputs if output.output_type != "error"]
        if failed:
            self.nb_man.cell_exception(cell, cell_index=index)
        self.nb_man.cell_complete(cell, cell_index=index)
        self._reporter.cell_done(self._titles[index], time.monotonic() - began, failed=failed)
        return not (failed or self._execution.ended_early)

    async def _note_exit(self, execute_reply: dict[str, Any], **_: Any) -> None:
        """End the run after a cell that called exit()."""
        payloads = execute_reply["content"].get("payload", [])
        if any(payload.get("source") == "ask_exit" for payload in payloads):
            self._execution.ended_early = "a cell called exit()"

    def _execute(self, cell: nbformat.NotebookNode, index: int) -> None:
        """Run one cell; its error is stored in the execution."""
        execution = self._execution
        try:
            self.execute_cell(cell, index)
        except CellExecutionError as error:
            if error.ename == "SystemExit" and error.evalue in _SUCCESS:
                execution.ended_early = "a cell called sys.exit()"
            if not (execution.ended_early and error.ename in ("SystemExit", EndRun.__name__)):
                self._fail(f"{error.ename}: {error.evalue}")
        except (CellTimeoutError, SilentKernelError) as error:
            late = f"cell timeout: not finished after {execution.limits.cell} s"
            execution.fail(self._cause(late if isinstance(error, CellTimeoutError) else str(error)))
            # A busy kernel would not react to a request to shut down.
            execution.kernel.kill()
        except DeadKernelError:
            execution.fail(self._cause(execution.kernel.cause_of_death()))

    def _fail(self, error: str) -> None:
        """Store an error that a cell raised, and whether a retry is useless."""
        self._execution.fail(error)
        self._execution.refused = self._execution.kernel.is_own and is_refusal(self)

    def _fail_if_untrue(self, cell: nbformat.NotebookNode) -> None:
        """Fail a cell that succeeded although it shows an error, or although messages were lost."""
        lost, self._published.lost = self._published.lost, 0
        if lost:
            self._execution.fail(
                f"the kernel lost {counted(lost, 'message')}, so outputs of this cell are missing"
            )
        error = self._outputs.error
        ended = self._execution.ended_early or self._execution.error
        if error and not ended and "raises-exception" not in _tags(cell):
            self._fail(error)

    async def _async_poll_kernel_alive(self) -> None:
        """Check that the kernel is alive, and save the artefact while a cell shows nothing."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            cast("Recorder", self.nb_man).save_if_due()
            try:
                await self._async_check_alive()
            except DeadKernelError:
                if self.task_poll_for_reply is not None:
                    self.task_poll_for_reply.cancel()
                return

    async def _async_poll_output_msg(
        self, parent_msg_id: str, cell: nbformat.NotebookNode, cell_index: int
    ) -> None:
        """Process a cell's messages until it is idle; raise SilentKernelError if they stop before that."""
        while True:
            try:
                msg = await self._published.get_msg(timeout=SILENT_SECONDS)
            except Empty:
                if "shell.execute_reply" in cell.metadata["execution"]:
                    raise SilentKernelError(
                        f"the cell has finished, but the kernel has been silent for {SILENT_SECONDS} s and "
                        "has not confirmed that all outputs were sent"
                    ) from None
                continue
            if msg["parent_header"].get("msg_id") == parent_msg_id:
                try:
                    self.process_message(msg, cell, cell_index)
                except CellExecutionComplete:
                    return

    @property
    def _published(self) -> NumberedChannel:
        """Return the channel on which the kernel publishes outputs."""
        return cast("NumberedChannel", cast("NumberedKernelClient", self.kc).iopub_channel)

    def _cause(self, observed: str) -> str:
        """Return the cause of a requested stop, or the observed one if no stop was requested."""
        return self._execution.stopped() or observed

    def process_message(
        self, msg: dict[str, Any], cell: nbformat.NotebookNode, cell_index: int
    ) -> nbformat.NotebookNode | None:
        """Add a message to the notebook, as far as it may be shown."""
        if msg["msg_type"] == "stream":
            return self._print(self._outputs.printed(msg), msg, cell, cell_index)
        if msg["msg_type"] == "clear_output":
            self._outputs.clear()
        self._join_pieces()
        shown = self._outputs.shown(msg)
        return None if shown is None else super().process_message(shown, cell, cell_index)

    def handle_comm_msg(
        self, outs: list[nbformat.NotebookNode], msg: dict[str, Any], cell_index: int
    ) -> None:
        """Store the state of a widget; comm messages of other kinds are ignored."""
        if isinstance(msg["content"].get("data"), dict):
            with suppress(KeyError, TypeError):
                super().handle_comm_msg(outs, msg, cell_index)

    def _flush(self, cell: nbformat.NotebookNode, index: int) -> None:
        """Add the rest of the streams, and a note on outputs that were left out."""
        for msg, text in self._outputs.rest():
            self._print(text, msg, cell, index)
        self._join_pieces()
        if note := self._outputs.note():
            cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=note))
            self._reporter.noted(note.rstrip())

    def _print(
        self, text: str, msg: dict[str, Any], cell: nbformat.NotebookNode, index: int
    ) -> nbformat.NotebookNode | None:
        if not text:
            return None
        if cell.outputs and self._continues(cell.outputs[-1], msg):
            # Joining many small pieces one by one would take quadratic time.
            self._pieces.append(text)
            return cell.outputs[-1]
        self._join_pieces()
        content = {"name": msg["content"]["name"], "text": text}
        printed = super().process_message({**msg, "content": content}, cell, index)
        self._open_stream = printed
        return printed

    def _continues(self, last: nbformat.NotebookNode, msg: dict[str, Any]) -> bool:
        """Return True if a piece of a stream is to be appended to the last output."""
        redirected = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        same = last is self._open_stream and last.name == msg["content"]["name"]
        return same and not redirected and not self.clear_before_next_output

    def _join_pieces(self) -> None:
        """Append the pieces received since the last call to the last stream output."""
        if self._open_stream is not None and self._pieces:
            self._open_stream.text += "".join(self._pieces)
        self._pieces.clear()


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _is_run(cell: nbformat.NotebookNode) -> bool:
    skipped = "skip-execution" in _tags(cell)
    return cell.cell_type == "code" and bool(cell.source.strip()) and not skipped
