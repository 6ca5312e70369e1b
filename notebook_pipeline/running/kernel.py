"""Kernels: start one with this interpreter, pass it what it needs, and remove everything it leaves behind."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.utils import ensure_event_loop, run_sync

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection, variable
from notebook_pipeline.running.leftover_processes import end_leftovers
from notebook_pipeline.running.message_numbers import NumberedKernelClient
from notebook_pipeline.running.mime_types import RUN_ID
from notebook_pipeline.running.scratch import Scratch
from notebook_pipeline.secrets.kernel_environment import inherited

# After this time a line reports what is being waited for.
_SILENT_SECONDS = 5.0
_OTHERS_SECONDS = 10.0
_ARGUMENTS = ("-f", "{connection_file}", "--HistoryManager.hist_file=:memory:")

# The run reports errors itself; Jupyter would report them a second time.
log = logging.getLogger("notebook_pipeline.running.kernel")
log.addHandler(logging.NullHandler())
log.propagate = False


def environment(connections: Iterable[Connection], run_id: str) -> dict[str, str]:
    """Return a kernel's environment: this one without Airflow and secrets, plus the variables of the run."""
    return (
        inherited()
        | {variable(connection.conn_id): connection.to_json() for connection in connections}
        | {
            "NOTEBOOK_PIPELINE_HOME": str(settings.home()),
            "NOTEBOOK_PIPELINE_OUTPUT": settings.output_url() or str(settings.output()),
            RUN_ID: run_id,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
    )


class Kernel:
    """One kernel and its files; as a context manager, it starts the kernel, ends it and removes its files.

    The kernel runs in a process group of its own and communicates over sockets in a folder that only its
    owner can read, so that kernels neither collide over ports nor receive each other's messages. `spec` is an
    installed kernel; by default this interpreter's own is run, which imports `modules` before it is ready.
    """

    def __init__(
        self,
        *,
        environment: dict[str, str],
        folder: Path,
        modules: Iterable[str] = (),
        spec: KernelSpec | None = None,
    ) -> None:
        self._scratch = Scratch()
        scratch = self._scratch.path
        self._log = scratch / "log"
        self._read, self._lifeline = os.pipe()
        self._group: int | None = None
        self.manager = _Manager(
            transport="ipc", connection_file=str(scratch / "k.json"), autorestart=False, log=log
        )
        self.manager.client_factory = NumberedKernelClient
        self.is_own = spec is None
        spec = spec or KernelSpec(argv=[",".join(modules), *_ARGUMENTS], language="python")
        command = [sys.executable, "-m", "notebook_pipeline.running.kernel_supervisor", str(scratch)]
        self.manager.spec = KernelSpec(
            argv=[*command, "own" if self.is_own else "installed", *spec.argv],
            language=spec.language,
            env=spec.env,
            resource_dir=spec.resource_dir,
        )
        # Passed here, so that Jupyter does not search every installed package for provisioners.
        self._provisioner = LocalProvisioner(
            kernel_id=scratch.name, kernel_spec=self.manager.spec, parent=self.manager
        )
        self.manager.provisioner = self._provisioner
        self._environment = environment | {"IPYTHONDIR": str(scratch / "ipython")}
        self._folder = folder

    def __enter__(self) -> "Kernel":
        """Start the process and return without waiting until it is ready."""
        try:
            with self._log.open("wb") as output:
                streams = {"stdin": self._read, "stdout": output, "stderr": output}
                start = run_sync(self.manager.start_kernel)
                start(**streams, cwd=str(self._folder), env=self._environment)
            self._group = self._provisioner.pgid
        except BaseException:
            self._clean()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            # A busy kernel would not react to a request to shut down.
            self.kill()
        self.close()

    def kill(self) -> None:
        """Kill the kernel and its process group; safe in any thread or signal handler."""
        if self._group:
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)

    def close(self, seconds: float = 60, say: Callable[[str], object] = lambda line: None) -> bool:
        """Ask the kernel to shut down, wait for its threads and exit handlers, then kill all that it started.

        Returns False if it had not ended by itself after `seconds`. A second call does nothing. Kernels that
        this package does not start itself may hang while they shut down, with no work left: they have
        `_OTHERS_SECONDS`, and that they were killed then is only reported.
        """
        if self._group is None:
            return True
        process = self._process
        ended = True
        if process and process.poll() is None:
            run_sync(self.manager.request_shutdown)()
            ended = _has_ended(process, min(seconds, _SILENT_SECONDS))
            if not ended and not self.is_own:
                ended = True
                if not _has_ended(process, _OTHERS_SECONDS - _SILENT_SECONDS):
                    say(f"the kernel had not shut down after {_OTHERS_SECONDS:g} s and was killed")
            if not ended:
                say(f"waiting up to {seconds:g} s for threads and exit handlers of the notebook")
                ended = _has_ended(process, seconds - _SILENT_SECONDS)
        self.kill()
        if process:
            process.wait()
        self._group = None
        left = end_leftovers(self._environment.get(RUN_ID, ""))
        if left:
            say(f"killed processes that the notebook had left running: {', '.join(left)}")
        self._clean()
        return ended

    def cause_of_death(self) -> str:
        """Return how the process ended, with the last lines that it wrote outside of any cell."""
        process = self._process
        code = process.poll() if process else None
        if code is None:
            return "the kernel does not respond"
        return f"the kernel died: {_describe_exit(code)}{self._last_output()}"

    @property
    def _process(self) -> subprocess.Popen[bytes] | None:
        return self._provisioner.process

    def _last_output(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()[-5:]
            if lines:
                return "; last output: " + " / ".join(lines)
        return ""

    def _clean(self) -> None:
        self._provisioner.process = None
        run_sync(self.manager.cleanup_resources)()
        for end in (self._read, self._lifeline):
            os.close(end)
        self._scratch.remove()
        _close_event_loop()


def _has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(seconds, 0))
        return True
    return False


def _close_event_loop() -> None:
    """Cancel the tasks that still listen to the ended kernel, and close this thread's event loop."""
    loop = ensure_event_loop()
    listening = asyncio.all_tasks(loop)
    for task in listening:
        task.cancel()
    if listening:
        loop.run_until_complete(asyncio.wait(listening))
    loop.close()


class _Manager(AsyncKernelManager):
    """A manager that starts our own command, even if a kernelspec named `python3` is installed."""

    spec: Any = None

    @property
    def kernel_spec(self) -> KernelSpec | None:
        return self.spec


def _describe_exit(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed by SIGKILL, as the system does when memory runs out"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"
